//! SMTP as far as a sender needs it. Source: RFC 5321.

use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::server::Meta;

/// The longest line of a command or a mail.
const LINE_BYTES: u64 = 16 * 1024;
/// The largest mail.
const MAIL_BYTES: usize = 4 << 20;
/// How many may be named for one mail.
const RECIPIENTS: usize = 100;

/// Takes mails until it is aborted.
pub(crate) async fn serve(listener: TcpListener, meta: Meta) {
    while let Ok((stream, _)) = listener.accept().await {
        let meta = meta.clone();
        // A sender that breaks off is nobody's loss.
        tokio::spawn(async move { Session::new(stream, meta).run().await });
    }
}

struct Session {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
    meta: Meta,
    recipients: Vec<String>,
}

impl Session {
    fn new(stream: TcpStream, meta: Meta) -> Self {
        let (from, to) = stream.into_split();
        Self { from: BufReader::new(from), to, meta, recipients: Vec::new() }
    }

    async fn run(mut self) -> io::Result<()> {
        if self.meta.world().post.is_down {
            return self.say("421 closed for today").await;
        }
        self.say("220 sandbox ESMTP").await?;
        while let Some(line) = self.line().await? {
            let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.say("250-sandbox\r\n250 8BITMIME").await?,
                "HELO" | "NOOP" => self.say("250 OK").await?,
                "MAIL" | "RSET" => {
                    self.recipients.clear();
                    self.say("250 OK").await?;
                }
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.data().await?,
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 not here").await?,
            }
        }
        Ok(())
    }

    async fn recipient(&mut self, line: &str) -> io::Result<()> {
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_lowercase();
        if self.meta.world().post.refused.contains(&address) {
            return self.say("550 5.1.1 nobody of that name").await;
        }
        if self.recipients.len() >= RECIPIENTS {
            return self.say("452 4.5.3 too many").await;
        }
        self.recipients.push(address);
        self.say("250 OK").await
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.recipients.is_empty() {
            return self.say("503 for whom?").await;
        }
        self.say("354 go on").await?;
        let mut mail = Vec::new();
        loop {
            let Some(line) = self.line().await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            if line == "." {
                break;
            }
            // A dot at the start of a line is doubled on the way (section 4.5.2).
            mail.extend(line.strip_prefix('.').unwrap_or(&line).as_bytes());
            mail.extend(b"\r\n");
            if mail.len() > MAIL_BYTES {
                return self.say("552 too large").await;
            }
        }
        let recipients = std::mem::take(&mut self.recipients);
        let loses = {
            let mut world = self.meta.world();
            let now = world.clock.now();
            world.post.take(now, recipients, &mail);
            let loses = world.post.loses_answers > 0;
            world.post.loses_answers = world.post.loses_answers.saturating_sub(1);
            loses
        };
        if loses { Err(io::ErrorKind::ConnectionAborted.into()) } else { self.say("250 taken").await }
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let read = (&mut self.from).take(LINE_BYTES).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.to.write_all(format!("{line}\r\n").as_bytes()).await
    }
}
