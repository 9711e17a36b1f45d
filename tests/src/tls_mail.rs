//! A mail server that speaks TLS: it takes the encryption off, and hands what comes to the sandbox's mail server.

use std::{
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::generate_simple_self_signed;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use sandbox::Sandbox;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// How it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// With TLS (RFC 8314).
    WithTls,
    /// In the clear, and offers STARTTLS (RFC 3207).
    InTheClear,
}

/// The mail server; it ends when this is dropped.
#[derive(Debug)]
pub struct TlsMail {
    /// Where it listens, on `localhost`.
    pub port: u16,
    /// A file with its certificate: whoever trusts that can talk to it.
    pub certificate: PathBuf,
    _tasks: JoinSet<()>,
}

impl TlsMail {
    /// Starts one before a sandbox's; its certificate lies in the folder.
    ///
    /// # Panics
    /// When the machine can't.
    pub async fn start(sandbox: &Sandbox, begins: Begins, folder: &Path) -> Self {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = folder.join("mail.pem");
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
            .expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let behind = sandbox.config().smtp_listen;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind);
                talks.spawn(async move {
                    // Whoever doesn't trust it goes away: that is no matter here.
                    let _ = talk(client, &acceptor, begins, TcpStream::connect(behind).await).await;
                });
            }
        });
        Self { port, certificate, _tasks: tasks }
    }
}

async fn talk(
    mut client: TcpStream,
    acceptor: &TlsAcceptor,
    begins: Begins,
    behind: io::Result<TcpStream>,
) -> io::Result<()> {
    let mut behind = behind?;
    if begins == Begins::InTheClear {
        let mut lines = BufReader::new(&mut client);
        lines.write_all(b"220 localhost ESMTP\r\n").await?;
        for (asked, answer) in [("EHLO", "250-localhost\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go ahead\r\n")] {
            let mut line = String::new();
            (&mut lines).take(1_000).read_line(&mut line).await?;
            if !line.starts_with(asked) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            lines.write_all(answer.as_bytes()).await?;
        }
        // It greeted already.
        BufReader::with_capacity(1, &mut behind).read_line(&mut String::new()).await?;
    }
    let mut client = acceptor.accept(client).await?;
    copy_bidirectional(&mut client, &mut behind).await?;
    Ok(())
}
