//! What stands between a program and PostgreSQL: PgBouncer, and TLS.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::{Child, Command, Stdio},
};

use engine::{
    Database, MIGRATIONS, Options, Store, StoreError, sql,
    testing::{Engine, TestDatabase, start_postgres, until},
};

/// A PgBouncer before the tests' server; it ends with this.
struct Pooler {
    port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The user and the group as which programs run that refuse to run as root.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A command that runs as nobody where it would run as root.
fn not_as_root(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let [user, group] = ["--reuid", "--regid"].map(|option| format!("{option}={NOBODY}"));
    command.args([&user, &group, "--clear-groups", program]);
    command
}

impl Pooler {
    async fn start(database: &str, mode: &str) -> Self {
        let (_, server) = database.split_once('@').expect("a user");
        let (server, _) = server.split_once('/').expect("a database");
        let (host, server_port) = server.split_once(':').expect("a port");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let ini = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={host} port={server_port} user=engine\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = {mode}\nunix_socket_dir =\n"
        );
        fs::write(&ini, text).expect("written");
        let program = if Path::new("/usr/sbin/pgbouncer").exists() { "/usr/sbin/pgbouncer" } else { "pgbouncer" };
        let process = not_as_root(program).arg(&ini).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        let pooler = Self { port, process: process.expect("PgBouncer is installed"), _folder: folder };
        until("PgBouncer", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        pooler
    }

    /// The database's URL by this way.
    fn url(&self, database: &str) -> String {
        let (_, name) = database.rsplit_once('/').expect("a name");
        format!("postgres://engine@127.0.0.1:{}/{name}", self.port)
    }
}

#[tokio::test]
async fn behind_a_pooler_in_session_mode_all_is_as_without() {
    let database = TestDatabase::new(Engine::Postgres, &MIGRATIONS).await;
    let pooler = Pooler::start(database.url(), "session").await;
    let open = async || Database::open(&pooler.url(database.url()), Options::default()).await.expect("opens");
    let (store, other) = (Store::new(open().await, Vec::new), Store::new(open().await, Vec::new));
    store.database().migrate(&MIGRATIONS).await.expect("up to date");
    let setting: String = sql("SELECT current_setting('idle_in_transaction_session_timeout')")
        .scalar(store.database())
        .await
        .expect("answers");
    assert_eq!(setting, "4s");
    // The other is woken: it has a session in which to listen.
    let listens = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    until("both listen", async || sql(listens).scalar::<i64>(other.database()).await.is_ok_and(|listen| listen == 2))
        .await;
    let mut woken = other.wake().listen();
    sql("SELECT pg_notify('journal_grew', '')").execute(store.database()).await.expect("told");
    woken.changed().await.expect("woken");
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused_in_one_sentence() {
    let database = TestDatabase::new(Engine::Postgres, &MIGRATIONS).await;
    let pooler = Pooler::start(database.url(), "transaction").await;
    match Database::open(&pooler.url(database.url()), Options::default()).await {
        Err(StoreError::Connection(why)) => assert!(why.contains("pool_mode = session"), "{why}"),
        // From 1.21 on it can keep prepared statements.
        Ok(_) => {}
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_said_with_the_way_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let [key, request, certificate] = ["key", "csr", "crt"].map(|kind| folder.path().join(format!("server.{kind}")));
    let openssl = |arguments: &[&str], files: &[(&str, &Path)]| {
        let mut command = Command::new("openssl");
        command.args(arguments);
        for (option, file) in files {
            command.arg(option).arg(file);
        }
        let made = command.output().expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    openssl(
        &["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"],
        &[("-keyout", &key), ("-out", &request)],
    );
    // Without extensions it is one of version 1.
    openssl(&["x509", "-req", "-days", "1"], &[("-in", &request), ("-signkey", &key), ("-out", &certificate)]);
    for (path, mode) in [(folder.path(), 0o755), (&key, 0o600), (&certificate, 0o644)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        if is_root() {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("given");
        }
    }
    let file = |setting, path: &Path| format!("{setting}={}", path.display());
    let [certificate, key] = [file("ssl_cert_file", &certificate), file("ssl_key_file", &key)];
    let url = start_postgres(&["-c", "fsync=off", "-c", "ssl=on", "-c", &certificate, "-c", &key]);
    match Database::open(&url, Options::default()).await {
        Err(StoreError::Connection(why)) => assert!(why.contains("sslmode=disable"), "{why}"),
        other => panic!("{other:?}"),
    }
    let without = format!("{url}?sslmode=disable");
    Database::open(&without, Options::default()).await.expect("opens without TLS");
}
