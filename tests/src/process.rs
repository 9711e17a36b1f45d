//! Relight as people run it: the program itself, in a process of its own, to be killed and started again.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use engine::testing::found;
use sandbox::Sandbox;
use store::testing::TestDatabase;

/// The key ring of the tests.
pub const VAULT_KEYS: &str = "k1:SVhtT0NKUVBvZ2xNeXJhWjVrV3dGdEdiSG5qZWRzUnU=";

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    variables: Vec<(String, String)>,
    folder: PathBuf,
    open_files: Option<u32>,
    /// Where browsers reach it.
    pub base: String,
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    base: String,
    said: Arc<Mutex<String>>,
}

impl Settings {
    /// Everything that it needs: a database, the pretend Meta, a free port; in an empty working folder.
    pub fn new(sandbox: &Sandbox, database: &TestDatabase, folder: &Path) -> Self {
        let base = format!("http://127.0.0.1:{}", crate::relight::free_port());
        let apps = sandbox.config();
        let meta = sandbox.url();
        let mut settings =
            Self { variables: Vec::new(), folder: folder.to_owned(), open_files: None, base: base.clone() };
        settings.set("HTTP__LISTEN", base.trim_start_matches("http://"));
        settings.set("HTTP__PUBLIC_URL", &base);
        settings.set("DATABASE__URL", database.url());
        settings.set("DATABASE__CONNECTIONS", "6");
        settings.set("VAULT__KEYS", VAULT_KEYS);
        settings.set("INSTAGRAM__APP_ID", &apps.instagram_app.0);
        settings.set("INSTAGRAM__APP_SECRET", &apps.instagram_app.1);
        settings.set("INSTAGRAM__AUTHORIZE_URL", &format!("{meta}/oauth/authorize"));
        settings.set("INSTAGRAM__TOKEN_URL", &format!("{meta}/oauth/access_token"));
        settings.set("INSTAGRAM__GRAPH_URL", &format!("{meta}/instagram"));
        settings.set("FACEBOOK__APP_ID", &apps.facebook_app.0);
        settings.set("FACEBOOK__APP_SECRET", &apps.facebook_app.1);
        settings.set("FACEBOOK__DIALOG_URL", &format!("{meta}/facebook"));
        settings.set("FACEBOOK__GRAPH_URL", &format!("{meta}/graph"));
        settings
    }

    /// Sets a key, in the form that environment variables have after `RELIGHT_`.
    pub fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.unset(key);
        self.variables.push((format!("RELIGHT_{key}"), value.to_owned()));
        self
    }

    /// Sets a variable that isn't Relight's own.
    pub fn set_plain(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a key at its default.
    pub fn unset(&mut self, key: &str) -> &mut Self {
        let name = format!("RELIGHT_{key}");
        self.variables.retain(|(known, _)| *known != name);
        self
    }

    /// Lets the program have so many files and sockets open, and no more.
    pub fn limit_open_files(&mut self, most: u32) -> &mut Self {
        self.open_files = Some(most);
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.open_files {
            None => Command::new(program()),
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &most.to_string()]).arg(program());
                shell
            }
        };
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RELIGHT_")) {
            command.env_remove(name);
        }
        command.args(arguments).envs(self.variables.iter().cloned()).current_dir(&self.folder);
        command
    }

    /// Runs a command to its end, with a text as its standard input.
    ///
    /// # Panics
    /// When it can't be run.
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        use std::io::Write;
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        // Who ends before reading its input breaks the pipe, which is no matter.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    /// Runs a command whose reader is gone; how it ended, and what it said beside its output.
    ///
    /// # Panics
    /// When it can't be run.
    pub fn run_unread(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts `relight serve`, without waiting for it.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn spawn(&self) -> Process {
        self.spawn_with(&["serve"])
    }

    /// Starts a command that goes on, without waiting for it.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn spawn_with(&self, arguments: &[&str]) -> Process {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let said = Arc::new(Mutex::new(String::new()));
        listen(child.stdout.take().expect("a pipe"), &said);
        listen(child.stderr.take().expect("a pipe"), &said);
        Process { child, base: self.base.clone(), said }
    }

    /// Starts `relight serve` and waits until it is ready.
    ///
    /// # Panics
    /// When it doesn't get ready.
    pub async fn start(&self) -> Process {
        let mut process = self.spawn();
        process.until_ready().await;
        process
    }
}

fn listen(from: impl Read + Send + 'static, said: &Arc<Mutex<String>>) {
    let said = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&line);
            said.push('\n');
        }
    });
}

impl Process {
    /// Waits until it answers that it is ready.
    ///
    /// # Panics
    /// When it doesn't in time, or ends.
    pub async fn until_ready(&mut self) {
        let client = crate::browser::Browser::new(&self.base).client;
        let ready = format!("{}/readyz", self.base);
        found("its readiness", async || {
            if client.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            let ended = self.child.try_wait().expect("a process");
            assert!(ended.is_none(), "it ended: {}", self.said());
            Err(self.said())
        })
        .await;
    }

    /// Everything that it has printed.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has printed a line with these words; the answer is the line.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub async fn until_said(&self, words: &str) -> String {
        let line = async || {
            let said = self.said();
            said.lines().find(|line| line.contains(words)).map(|line| line.trim().to_owned()).ok_or(said)
        };
        found(&format!("{words:?}"), line).await
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How much of it is in memory now, in MiB. Source: proc(5), `VmRSS`.
    ///
    /// # Panics
    /// When it has ended, or the system isn't Linux.
    pub fn resident_mib(&self) -> f64 {
        self.status_mib("VmRSS:")
    }

    /// How much of it was in memory at most, in MiB. Source: proc(5), `VmHWM`.
    ///
    /// # Panics
    /// When it has ended, or the system isn't Linux.
    pub fn peak_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a process");
        let kib = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
        kib.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// Ends it at once, without a chance to do anything: SIGKILL.
    ///
    /// # Panics
    /// When it can't be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Tells it to end, as a service manager does, and waits for that: SIGTERM.
    ///
    /// # Panics
    /// When it can't be told.
    pub async fn terminate(mut self) -> (ExitStatus, String) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        let ended = async || self.child.try_wait().expect("a process").ok_or("it runs");
        let status = found("its end", ended).await;
        (status, self.said())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, built as the tests are.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        // The whole workspace's features, as the tests are built with: nothing is compiled twice.
        build.args(["build", "--workspace", "--bin=relight", "--message-format=json", "--quiet", "--locked"]);
        // What cargo tells the tests about themselves would make build scripts run again.
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("CARGO_MANIFEST") || name.starts_with("CARGO_PKG"))
        {
            build.env_remove(name);
        }
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built =
            build.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().expect("cargo runs");
        assert!(built.status.success(), "the program can't be built");
        let messages = String::from_utf8_lossy(&built.stdout).into_owned();
        let message = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok();
        let found = messages.lines().filter_map(message).find_map(|said| Some(said["executable"].as_str()?.to_owned()));
        PathBuf::from(found.expect("a program"))
    })
}
