//! A real browser: headless Chromium, driven through chromedriver as a person would use it. Screenshots go to
//! `target/screenshots`.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use engine::testing::found;
use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

/// How a window is opened.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Its width in CSS pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Whether the reader prefers a dark page.
    pub dark: bool,
    /// Whether pages may run script.
    pub script: bool,
}

impl Window {
    /// On a desk.
    pub const DESK: Self = Self { width: 1280, height: 1000, dark: false, script: true };
    /// On a phone.
    pub const PHONE: Self = Self { width: 390, height: 844, dark: false, script: true };
}

/// A browser window of its own, with nothing remembered.
#[derive(Debug)]
pub struct Chromium {
    /// To drive it.
    pub client: Client,
    driver: Child,
    _folder: tempfile::TempDir,
}

impl Chromium {
    /// Opens one.
    ///
    /// # Panics
    /// When chromedriver or Chromium are missing: `./check` installs them.
    pub async fn open(window: Window) -> Self {
        // Its port may be taken before it listens there.
        let (driver, port) = found("chromedriver", async || start_driver().ok_or("it ended")).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut arguments = vec![
            "--headless".to_owned(),
            format!("--window-size={},{}", window.width, window.height),
            format!("--user-data-dir={}", folder.path().display()),
        ];
        let quiet = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ];
        arguments.extend(quiet.map(str::to_owned));
        if window.dark {
            arguments.push("--force-dark-mode".to_owned());
        }
        let javascript = if window.script { 1 } else { 2 };
        let preferences = json!({"profile.managed_default_content_settings.javascript": javascript});
        // A window isn't as narrow as a phone: the page is told to be.
        let mut chrome = json!({"args": arguments, "prefs": preferences});
        if window.width < 500 {
            let metrics = json!({"width": window.width, "height": window.height, "pixelRatio": 2.0, "touch": true});
            chrome["mobileEmulation"] = json!({"deviceMetrics": metrics});
        }
        let capabilities = [("goog:chromeOptions".to_owned(), chrome)].into_iter().collect();
        let url = format!("http://127.0.0.1:{port}");
        let client =
            ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&url).await.expect("a browser");
        Self { client, driver, _folder: folder }
    }

    /// Goes to an address.
    ///
    /// # Panics
    /// When it can't.
    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    /// The words that the reader sees.
    ///
    /// # Panics
    /// When there is no page.
    pub async fn text(&self) -> String {
        // A page that is just being replaced has no body for a moment.
        found("a page", async || self.client.find(Locator::Css("body")).await?.text().await).await
    }

    /// Waits until the page says something, without reloading it.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub async fn until(&self, words: &str) -> &Self {
        found(&format!("{words:?}"), async || {
            let text = self.text().await;
            if text.contains(words) { Ok(self) } else { Err(text) }
        })
        .await
    }

    /// Waits until this many widgets on the page are fresh, without reloading it.
    ///
    /// # Panics
    /// When they aren't in time.
    pub async fn until_fresh(&self, widgets: usize) -> &Self {
        found(&format!("{widgets} fresh widgets"), async || {
            let fresh = self.client.find_all(Locator::XPath("//td/strong[.='fresh']")).await.expect("a page").len();
            if fresh == widgets { Ok(self) } else { Err(format!("{fresh} are: {}", self.text().await)) }
        })
        .await
    }

    /// What a selector finds.
    ///
    /// # Panics
    /// When it finds nothing.
    pub async fn find(&self, css: &str) -> Element {
        let found = self.client.find(Locator::Css(css)).await;
        match found {
            Ok(found) => found,
            Err(error) => panic!("{css}: {error}: {}", self.text().await),
        }
    }

    /// Presses the button or link with these words.
    ///
    /// # Panics
    /// When there is none.
    pub async fn press(&self, words: &str) {
        let path = format!("//*[self::button or self::a][normalize-space()='{words}']");
        let found = self.client.find(Locator::XPath(&path)).await;
        match found {
            Ok(found) => found.click().await.expect("pressed"),
            Err(error) => panic!("no {words:?}: {error}: {}", self.text().await),
        }
    }

    /// Types into a field.
    ///
    /// # Panics
    /// When there is none.
    pub async fn fill(&self, css: &str, text: &str) {
        self.find(css).await.send_keys(text).await.expect("typed");
    }

    /// Takes a picture of the whole page.
    ///
    /// # Panics
    /// When it can't be kept.
    pub async fn picture(&self, name: &str) {
        let folder = pictures();
        std::fs::create_dir_all(&folder).expect("a folder");
        let picture = self.client.screenshot().await.expect("a picture");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("kept");
    }

    /// Closes it.
    ///
    /// # Panics
    /// When it can't be closed.
    pub async fn close(self) {
        self.client.clone().close().await.expect("closed");
    }
}

/// Starts chromedriver; it and its port, if it doesn't end at once.
fn start_driver() -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver starts: ./check installs it");
    let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("successfully on port"));
    if let Some(port) = line.and_then(|line| line.rsplit(' ').next()?.trim_end_matches('.').parse().ok()) {
        return Some((driver, port));
    }
    let _ = driver.wait();
    None
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots")
}
