//! Attack benchmark: attacks on the receiver in a host, and what becomes of a good client
//! meanwhile.
//!
//! Each attack meets a fresh host. While it runs, a good client exports one small request after the
//! other, each on a connection of its own; its slowest answer and the host's peak of memory are
//! what counts.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::hosts::{self, RunningHost};
use crate::shapes::{GeneratedBatch, TelemetryShape};

/// How long the good client tries while an attack is on.
const ATTACK: Duration = Duration::from_secs(10);
const PATH: &str = "/v1/traces";
const MIB: usize = 1024 * 1024;

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder that holds the plugin files.
    #[arg(long)]
    plugins: PathBuf,
    /// Only the attacks with these names.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    Nothing,
    SlowHeaders,
    SlowBodies,
    Connections,
    Bomb(&'static str),
    LargeBodies,
    TooLarge,
}

const ATTACKS: [(&str, &str, Attack); 9] = [
    ("none", "nothing but the good client", Attack::Nothing),
    ("loris", "1000 clients send headers byte by byte", Attack::SlowHeaders),
    ("slow-bodies", "1000 clients send bodies byte by byte", Attack::SlowBodies),
    ("connections", "5000 connections that say nothing", Attack::Connections),
    ("gzip", "16 gzip bombs of 1 GiB, 8 at a time", Attack::Bomb("gzip")),
    ("zstd", "16 zstd bombs of 1 GiB, 8 at a time", Attack::Bomb("zstd")),
    ("deflate", "16 deflate bombs of 1 GiB, 8 at a time", Attack::Bomb("deflate")),
    ("large", "16 bodies just below 64 MiB, 4 at a time", Attack::LargeBodies),
    ("too-large", "64 bodies of 80 MiB, 8 at a time", Attack::TooLarge),
];

/// What the good client saw.
#[derive(Debug, Default)]
struct Good {
    answered: usize,
    tried_again: usize,
    slowest: Duration,
}

pub async fn run(args: Args) {
    let host = hosts::newest();
    println!("{}\n", host.title());
    println!(
        "| attack | peak memory, MiB | good client: answers | tries again | slowest, ms | attacker got |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, title, attack) in ATTACKS {
        if !args.only.is_empty() && !args.only.iter().any(|wanted| wanted == name) {
            continue;
        }
        let port = hosts::free_port();
        let mut running = RunningHost::start(&host, &configuration(&args, port), port);
        let (good, got) = under(attack, port).await;
        assert!(running.alive(), "the host died; its log:\n{}", running.log_text());
        println!(
            "| {title} | {:.0} | {} | {} | {:.0} | {got} |",
            running.peak_mib(),
            good.answered,
            good.tried_again,
            good.slowest.as_secs_f64() * 1000.0,
        );
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{log}");
    }
}

fn configuration(args: &Args, port: u16) -> String {
    format!(
        "service:\n  flush: 1\n  grace: 5\nplugins:\n  - {}/flb-in_ai_otlp.so\npipeline:\n  inputs:\n    \
         - name: ai_otlp\n      listen: 127.0.0.1\n      http_port: {port}\n      grpc_port: off\n  \
         outputs:\n    - name: 'null'\n      match: '*'\n",
        args.plugins.display()
    )
}

/// An attack, and a good client beside it until the attack is over.
async fn under(attack: Attack, port: u16) -> (Good, String) {
    let body = prepared(attack);
    let attacking = tokio::spawn(async move {
        match attack {
            Attack::Nothing => {
                tokio::time::sleep(ATTACK).await;
                String::new()
            }
            Attack::SlowHeaders => slow(port, 1000, "x-long: ").await,
            Attack::SlowBodies => {
                slow(
                    port,
                    1000,
                    "content-type: application/x-protobuf\r\ncontent-length: 9999\r\n\r\n",
                )
                .await
            }
            Attack::Connections => silent(port, 5000).await,
            Attack::Bomb(encoding) => posts(port, 16, 8, encoding, body).await,
            Attack::LargeBodies => posts(port, 16, 4, "identity", body).await,
            Attack::TooLarge => posts(port, 64, 8, "identity", body).await,
        }
    });
    let mut good = Good::default();
    let mut batch = GeneratedBatch::new(TelemetryShape::Genai, 10);
    let mut first = 0;
    while !attacking.is_finished() {
        let request = batch.numbered(first);
        first += 10;
        let start = Instant::now();
        while let Err(_why) = export(port, request.clone()).await {
            good.tried_again += 1;
            assert!(start.elapsed() < Duration::from_secs(120), "the good client gave up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        good.answered += 1;
        good.slowest = good.slowest.max(start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (good, attacking.await.unwrap())
}

async fn export(port: u16, body: Vec<u8>) -> Result<(), String> {
    let trying = async {
        let mut client = Client::connect(port, false).await?;
        client.send(PATH, "", body).await
    };
    tokio::time::timeout(Duration::from_secs(10), trying)
        .await
        .unwrap_or_else(|_| Err("no answer in 10 s".to_owned()))
}

fn prepared(attack: Attack) -> Vec<u8> {
    match attack {
        Attack::Bomb(encoding) => bomb(encoding),
        Attack::LargeBodies => {
            let one = GeneratedBatch::new(TelemetryShape::Fat, 100).numbered(0);
            // Requests that follow each other are one request, because their fields repeat.
            one.repeat(64 * MIB / one.len())
        }
        Attack::TooLarge => vec![0; 80 * MIB],
        _ => Vec::new(),
    }
}

/// A gibibyte of zeros, packed a mebibyte at a time. No decoder gets to its end.
fn bomb(encoding: &str) -> Vec<u8> {
    let zeros = vec![0; MIB];
    if encoding == "zstd" {
        return zstd::encode_all(&zeros[..], 3).unwrap().repeat(1024);
    }
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    let mut piece = Vec::with_capacity(MIB);
    // A full flush forgets what came before, so each piece can follow any other.
    deflate.compress_vec(&zeros, &mut piece, flate2::FlushCompress::Full).unwrap();
    let mut bomb = piece.repeat(1024);
    if encoding == "gzip" {
        // A header by RFC 1952, section 2.3.
        bomb.splice(..0, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }
    bomb
}

/// Clients that never come to an end with what they send. Who is cut off comes again.
async fn slow(port: u16, clients: usize, start: &'static str) -> String {
    let mut all = JoinSet::new();
    for _ in 0..clients {
        all.spawn(async move {
            let began = Instant::now();
            let mut cut = 0;
            while began.elapsed() < ATTACK {
                let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
                    continue;
                };
                let head = format!("POST {PATH} HTTP/1.1\r\nhost: x\r\n{start}");
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() && began.elapsed() < ATTACK {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    sent = stream.write_all(b"x").await;
                }
                cut += usize::from(sent.is_err());
            }
            cut
        });
    }
    format!("{} times cut off", all.join_all().await.into_iter().sum::<usize>())
}

async fn silent(port: u16, clients: usize) -> String {
    let mut streams = Vec::new();
    let mut refused = 0;
    for _ in 0..clients {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => streams.push(stream),
            Err(_) => refused += 1,
        }
    }
    tokio::time::sleep(ATTACK).await;
    let mut closed = 0;
    for stream in &mut streams {
        let mut byte = [0];
        let ended = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut byte)).await;
        closed += usize::from(ended.is_ok());
    }
    format!("{} opened, {refused} refused, {closed} closed", streams.len())
}

/// Bodies, so many at a time.
async fn posts(port: u16, count: usize, at_once: usize, encoding: &str, body: Vec<u8>) -> String {
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-encoding: {encoding}\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (head, body) = (Arc::new(head), Arc::new(body));
    let turns = Arc::new(tokio::sync::Semaphore::new(at_once));
    let mut all = JoinSet::new();
    for _ in 0..count {
        let (head, body, turns) = (Arc::clone(&head), Arc::clone(&body), Arc::clone(&turns));
        all.spawn(async move {
            let _turn = turns.acquire().await;
            post(port, &head, &body).await
        });
    }
    let mut answers = std::collections::BTreeMap::<String, usize>::new();
    for answer in all.join_all().await {
        *answers.entry(answer).or_default() += 1;
    }
    answers.iter().fold(String::new(), |mut text, (answer, count)| {
        let _ = write!(text, "{}{count} times {answer}", if text.is_empty() { "" } else { ", " });
        text
    })
}

async fn post(port: u16, head: &str, body: &[u8]) -> String {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return "no connection".to_owned();
    };
    let (mut from, mut to) = stream.into_split();
    let sending = async {
        to.write_all(head.as_bytes()).await?;
        to.write_all(body).await
    };
    let mut start = [0; 12];
    let receiving = from.read_exact(&mut start);
    let (_, received) = tokio::join!(sending, receiving);
    match received {
        Ok(_) => String::from_utf8_lossy(&start[9..]).into_owned(),
        Err(_) => "cut off".to_owned(),
    }
}
