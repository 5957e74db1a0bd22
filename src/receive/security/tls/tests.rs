//! Handshakes with certificates made for the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::receive::security::{Secret, SecuritySettings, ServerTlsSettings};
use crate::receive::tests::host::{Host, settings};

pub(in crate::receive::security) type Issuer = CertifiedIssuer<'static, KeyPair>;

pub(in crate::receive::security) fn issuer() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, both as DER and as PEM.
pub(in crate::receive::security) struct Leaf {
    der: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

pub(in crate::receive::security) fn leaf(issuer: &Issuer, name: &str) -> Leaf {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    Leaf { der: certificate.der().clone(), pem: certificate.pem(), key }
}

impl Leaf {
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("key.pem"), self.key.serialize_pem()).unwrap();
        std::fs::write(folder.join("crt.pem"), &self.pem).unwrap();
    }
}

pub(in crate::receive::security) fn tls(
    folder: &Path,
    ca: bool,
    required: bool,
) -> ServerTlsSettings {
    ServerTlsSettings {
        crt_file: folder.join("crt.pem"),
        key_file: folder.join("key.pem"),
        key_passwd: None,
        ca_file: ca.then(|| folder.join("ca.pem")),
        require_client: required,
        versions: (12, 13),
        http2: true,
        ciphers: Vec::new(),
    }
}

/// A receiver with TLS, and the folder and issuer of its certificate.
pub(in crate::receive::security) fn host(
    ca: bool,
    required: bool,
    tenants: Option<&str>,
) -> (Host, tempfile::TempDir, Issuer) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = issuer();
    leaf(&issuer, "localhost").write(folder.path());
    std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
    let tenants_file = tenants.map(|text| {
        std::fs::write(folder.path().join("tenants.yaml"), text).unwrap();
        folder.path().join("tenants.yaml")
    });
    let mut settings = settings();
    settings.security = SecuritySettings {
        tls: Some(tls(folder.path(), ca, required)),
        tenants_file,
        ..SecuritySettings::default()
    };
    (Host::with(&settings), folder, issuer)
}

/// Posts an empty request; the status, the protocol chosen by ALPN and the server's certificate.
fn post(
    to: SocketAddr,
    trust: &Issuer,
    client: Option<&Leaf>,
    alpn: &[u8],
) -> Result<(String, Vec<u8>, Vec<u8>), String> {
    let mut roots = RootCertStore::empty();
    roots.add(trust.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        Some(leaf) => {
            let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![leaf.der.clone()], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(test_timeout::at_most(Duration::from_secs(20)))).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let request = "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                   content-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let mut part = [0; 64];
    while answer.len() < 12 {
        match stream.read(&mut part).map_err(|error| error.to_string())? {
            0 => return Err("closed".to_owned()),
            read => answer.extend_from_slice(&part[..read]),
        }
    }
    let chosen = stream.conn.alpn_protocol().unwrap_or_default().to_vec();
    let server = stream.conn.peer_certificates().unwrap()[0].to_vec();
    Ok((String::from_utf8_lossy(&answer[..12]).into_owned(), chosen, server))
}

#[test]
fn servers_show_their_certificate() {
    let (host, _folder, trusted) = host(false, false, None);
    let (status, chosen, _) = post(host.http, &trusted, None, b"http/1.1").unwrap();
    assert_eq!((status.as_str(), &chosen[..]), ("HTTP/1.1 200", &b"http/1.1"[..]));
    assert!(post(host.grpc, &trusted, None, b"http/1.1").is_ok());
    let error = post(host.http, &issuer(), None, b"http/1.1").unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    host.wait_for("tls_failures_total", &["refused"], 1);
    // ALPN without a protocol in common, and no TLS at all.
    assert!(post(host.http, &trusted, None, b"spdy/1").is_err());
    let mut plain = TcpStream::connect(host.http).unwrap();
    plain.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    host.wait_for("tls_failures_total", &["protocol"], 2);
    drop(TcpStream::connect(host.http).unwrap());
    host.wait_for("tls_failures_total", &["closed"], 1);
}

#[test]
fn clients_need_a_certificate_that_is_trusted() {
    let (host, _folder, trusted) = host(true, true, None);
    let good = leaf(&trusted, "client.example");
    assert!(post(host.http, &trusted, Some(&good), b"http/1.1").is_ok());
    assert!(post(host.http, &trusted, None, b"http/1.1").is_err());
    let stranger = leaf(&issuer(), "client.example");
    assert!(post(host.http, &trusted, Some(&stranger), b"http/1.1").is_err());
    host.wait_for("tls_failures_total", &["client_certificate"], 2);
}

#[test]
fn a_client_certificate_that_signs_itself_is_trusted_where_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = issuer();
    leaf(&trusted, "localhost").write(folder.path());
    let own = || {
        let mut params = CertificateParams::new(["client.example".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Leaf { der: certificate.der().clone(), pem: certificate.pem(), key }
    };
    let client = own();
    std::fs::write(folder.path().join("ca.pem"), &client.pem).unwrap();
    let mut settings = settings();
    settings.security =
        SecuritySettings { tls: Some(tls(folder.path(), true, true)), ..Default::default() };
    let host = Host::with(&settings);
    let status = post(host.http, &trusted, Some(&client), b"http/1.1").unwrap().0;
    assert_eq!(status, "HTTP/1.1 200");
    assert!(post(host.http, &trusted, Some(&own()), b"http/1.1").is_err());
    host.wait_for("tls_failures_total", &["client_certificate"], 1);
}

#[test]
fn certificates_belong_to_tenants() {
    let tenants = "tenants:\n  acme:\n    certificates: [Client.example]\n";
    let (host, _folder, trusted) = host(true, false, Some(tenants));
    let ask = |client: Option<&Leaf>| post(host.http, &trusted, client, b"http/1.1").unwrap().0;
    assert_eq!(ask(Some(&leaf(&trusted, "client.example"))), "HTTP/1.1 200");
    assert_eq!(ask(Some(&leaf(&trusted, "other.example"))), "HTTP/1.1 403");
    assert_eq!(ask(None), "HTTP/1.1 401");
    assert_eq!(host.count("denied_requests_total", &["certificate"]), 1);
}

#[test]
fn changed_certificates_are_taken_and_broken_ones_are_not() {
    let (host, folder, trusted) = host(false, false, None);
    let shown = || post(host.http, &trusted, None, b"http/1.1").unwrap().2;
    let first = shown();
    std::fs::write(folder.path().join("crt.pem"), "rubbish").unwrap();
    host.wait_for("tls_reloads_total", &["wrong"], 1);
    assert_eq!(shown(), first);
    let next = leaf(&trusted, "localhost");
    next.write(folder.path());
    host.wait_for("tls_reloads_total", &["taken"], 1);
    assert_eq!(shown(), next.der.to_vec());
    let log = format!("{:?}", host.log.take());
    assert!(log.contains("former") && log.contains("read again"), "{log}");
}

#[test]
fn wrong_files_and_ciphers_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let none = super::config::read(&tls(folder.path(), true, true)).unwrap_err();
    assert!(none.iter().all(|problem| problem.contains("cannot be read")), "{none:?}");
    assert_eq!(none.len(), 3);
    let issuer = issuer();
    leaf(&issuer, "localhost").write(folder.path());
    let mut settings = tls(folder.path(), false, false);
    settings.ciphers =
        ["ECDHE-ECDSA-AES128-GCM-SHA256", "tls_aes_128_gcm_sha256"].map(str::to_owned).to_vec();
    let config = super::config::read(&settings).unwrap();
    assert_eq!(config.crypto_provider().cipher_suites.len(), 2);
    settings.ciphers = vec!["RC4-MD5".to_owned()];
    let problems = super::config::read(&settings).unwrap_err();
    assert!(problems[0].contains("ECDHE-RSA-AES256-GCM-SHA384"), "{problems:?}");
    settings.ciphers.clear();
    let key = folder.path().join("key.pem");
    std::fs::write(&key, leaf(&issuer, "x").key.serialize_pem()).unwrap();
    assert!(super::config::read(&settings).unwrap_err()[0].contains("with the key"));
}

/// Guarantees: an encrypted key is taken with its password, and what is missing or wrong is told
/// without the password.
#[test]
fn an_encrypted_key_needs_its_password() {
    const PLAIN: &str = include_str!("../../../../tests/data/keys/plain.pem");
    const ENCRYPTED: &str = include_str!("../../../../tests/data/keys/aes.pem");
    let folder = tempfile::tempdir().unwrap();
    let own = KeyPair::from_pem(PLAIN).unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&own).unwrap();
    let mut settings = tls(folder.path(), false, false);
    std::fs::write(&settings.crt_file, certificate.pem()).unwrap();
    std::fs::write(&settings.key_file, ENCRYPTED).unwrap();
    let problem = super::config::read(&settings).unwrap_err().remove(0);
    assert!(problem.contains("is encrypted") && problem.contains("'tls.key_passwd'"), "{problem}");
    settings.key_passwd = Some(Secret::new("wrong"));
    let problem = super::config::read(&settings).unwrap_err().remove(0);
    assert!(problem.contains("not the right one") && !problem.contains("wrong"), "{problem}");
    settings.key_passwd = Some(Secret::new("secret"));
    super::config::read(&settings).unwrap();
    std::fs::write(&settings.key_file, PLAIN).unwrap();
    super::config::read(&settings).unwrap();
}
