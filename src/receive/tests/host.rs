//! Fake host: a thread that owns the receiver and calls it as Fluent Bit's engine thread does.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver as Inbox, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::codec::records::{EventKind, Events};
use crate::plugin::{AppendRefused, Chunks, Sink, Waker};
use crate::receive::{ClientLimits, Receiver, ReceiverSettings, SecuritySettings};
use crate::stats::{Counters, Log};

/// What the test tells the host's thread.
enum Order {
    Wake,
    /// Do not call the receiver when it wakes us.
    Hold(bool),
    /// Refuse what is appended.
    Refuse(bool),
    /// Take so many appends more, then refuse.
    Room(usize),
    /// So many bytes of what was stored were sent.
    Sent(usize),
    Pause,
    Resume,
    Close,
    End,
}

#[derive(Default)]
struct Storage {
    refuse: bool,
    room: Option<usize>,
    /// Bytes in chunks.
    held: usize,
    stored: Vec<(usize, Vec<u8>)>,
    tags: Vec<String>,
}

struct TestSink(Arc<Mutex<Storage>>);

impl Sink for TestSink {
    fn append(&mut self, tag: &[u8], records: usize, events: &[u8]) -> Result<(), AppendRefused> {
        let mut storage = self.0.lock().unwrap();
        if storage.refuse || storage.room == Some(0) {
            return Err(AppendRefused);
        }
        storage.room = storage.room.map(|room| room - 1);
        storage.held += events.len();
        storage.tags.push(String::from_utf8(tag.to_vec()).unwrap());
        storage.stored.push((records, events.to_vec()));
        Ok(())
    }

    fn chunks(&self) -> Chunks {
        Chunks { bytes: self.0.lock().unwrap().held, bounded: false }
    }

    fn flush_now(&mut self) {}
}

pub(crate) struct Host {
    orders: Sender<(Order, Sender<()>)>,
    storage: Arc<Mutex<Storage>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) log: Arc<Log>,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn settings() -> ReceiverSettings {
    ReceiverSettings {
        listen: "127.0.0.1".to_owned(),
        grpc_port: Some(0),
        http_port: Some(0),
        unix_socket: None,
        limits: ClientLimits::default(),
        max_request_size: 1 << 20,
        max_queue_size: 8 << 20,
        max_memory: None,
        log_groups: true,
        logs_body_key: None,
        native: None,
        profiles: false,
        tenancy: crate::receive::TenancySettings::default(),
        security: SecuritySettings::default(),
    }
}

impl Host {
    pub(crate) fn start() -> Self {
        Self::with(&settings())
    }

    pub(crate) fn with(settings: &ReceiverSettings) -> Self {
        let (orders, inbox) = mpsc::channel();
        let counters = Arc::new(Counters::default());
        let log = Arc::new(Log::default());
        let wakes = orders.clone();
        let waker = Waker::new(move || {
            let (done, _) = mpsc::channel();
            drop(wakes.send((Order::Wake, done)));
        });
        let receiver = Receiver::open(settings, waker, &counters, Arc::clone(&log)).unwrap();
        // With one port, or none, both are the same.
        let addresses = receiver.addresses();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let grpc = addresses.first().map_or(nowhere, |(_, address)| *address);
        let http = addresses.last().map_or(nowhere, |(_, address)| *address);
        let storage = Arc::new(Mutex::new(Storage::default()));
        let sink = TestSink(Arc::clone(&storage));
        let thread =
            std::thread::Builder::new().spawn(move || carry_out(&receiver, sink, &inbox)).unwrap();
        Self { orders, storage, counters, log, grpc, http, thread: Some(thread) }
    }

    fn order(&self, order: Order) {
        let (done, answered) = mpsc::channel();
        self.orders.send((order, done)).unwrap();
        answered.recv_timeout(test_timeout::at_most(Duration::from_secs(20))).unwrap();
    }

    pub(crate) fn hold(&self, hold: bool) {
        self.order(Order::Hold(hold));
    }

    pub(crate) fn refuse(&self, refuse: bool) {
        self.order(Order::Refuse(refuse));
    }

    pub(super) fn room(&self, appends: usize) {
        self.order(Order::Room(appends));
    }

    /// The outputs have sent so many bytes of what is in storage.
    pub(super) fn sent(&self, bytes: usize) {
        self.order(Order::Sent(bytes));
    }

    /// The tags of what is in storage, one for each append.
    pub(super) fn tags(&self) -> Vec<String> {
        self.storage.lock().unwrap().tags.clone()
    }

    /// The events in storage.
    pub(super) fn events(&self) -> Vec<u8> {
        let storage = self.storage.lock().unwrap();
        storage.stored.iter().flat_map(|(_, events)| events.clone()).collect()
    }

    pub(crate) fn pause(&self) {
        self.order(Order::Pause);
    }

    pub(crate) fn resume(&self) {
        self.order(Order::Resume);
    }

    pub(crate) fn close(&self) {
        self.order(Order::Close);
    }

    /// Ends the thread and with it the receiver.
    pub(crate) fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.order(Order::End);
            thread.join().unwrap();
        }
    }

    /// Records in storage, by what the receiver said and by what the events are.
    pub(crate) fn records(&self) -> usize {
        let storage = self.storage.lock().unwrap();
        let said: usize = storage.stored.iter().map(|(records, _)| records).sum();
        let are = storage
            .stored
            .iter()
            .flat_map(|(_, events)| Events::new(events))
            .filter(|event| event.as_ref().unwrap().kind == EventKind::Record)
            .count();
        assert_eq!(said, are);
        said
    }

    /// The sum of a family over the label values that start with `labels`.
    pub(crate) fn count(&self, family: &str, labels: &[&str]) -> u64 {
        let readings = self.counters.readings();
        let chosen = readings.iter().filter(|reading| {
            reading.family.name == family
                && labels.iter().zip(&reading.labels).all(|(wanted, value)| value == wanted)
        });
        chosen.map(|reading| reading.counter.value()).sum()
    }

    /// Waits until the sum is at least `least`.
    pub(crate) fn wait_for(&self, family: &str, labels: &[&str], least: u64) {
        self.wait_until(|| self.count(family, labels) >= least);
    }

    pub(crate) fn wait_until(&self, what: impl Fn() -> bool) {
        let deadline = crate::clock::now().after(test_timeout::at_most(Duration::from_secs(10)));
        while !what() {
            assert!(crate::clock::now() < deadline, "waited in vain");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Every item is accounted for.
    pub(crate) fn assert_sums(&self) {
        let received = self.count("received_items_total", &[]);
        let ends = ["accepted_items_total", "rejected_items_total", "refused_items_total"];
        let ended: u64 = ends.iter().map(|family| self.count(family, &[])).sum();
        assert_eq!(received, ended);
        assert_eq!(self.count("queue_bytes", &[]), 0);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

fn carry_out(receiver: &Receiver, mut sink: TestSink, inbox: &Inbox<(Order, Sender<()>)>) {
    let mut hold = false;
    while let Ok((order, done)) = inbox.recv() {
        match order {
            Order::Wake if hold => {}
            Order::Wake => receiver.append(&mut sink),
            Order::Hold(on) => {
                hold = on;
                if !hold {
                    receiver.append(&mut sink);
                }
            }
            Order::Refuse(refuse) => sink.0.lock().unwrap().refuse = refuse,
            Order::Room(room) => sink.0.lock().unwrap().room = Some(room),
            Order::Sent(bytes) => {
                let mut storage = sink.0.lock().unwrap();
                storage.held = storage.held.saturating_sub(bytes);
            }
            Order::Pause => receiver.pause(),
            Order::Resume => receiver.resume(),
            Order::Close => receiver.close(&mut sink),
            Order::End => {
                done.send(()).ok();
                return;
            }
        }
        done.send(()).ok();
    }
}
