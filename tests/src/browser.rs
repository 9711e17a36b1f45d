//! Somebody at a browser: keeps cookies, follows no redirect by itself, presses buttons.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use domain::{Connection, account::Plan};
use engine::testing::found;
use reqwest::{Client, Response, StatusCode, cookie::Jar, header::HeaderName, redirect};
use sandbox::person::{Consent, consent, values_of};
use url::Url;

/// Somebody at a browser.
#[derive(Debug, Clone)]
pub struct Browser {
    /// The browser itself.
    pub client: Client,
    cookies: Arc<Jar>,
    base: String,
}

/// A page as it was answered.
#[derive(Debug)]
pub struct Page {
    /// Its status.
    pub status: StatusCode,
    /// Its HTML.
    pub html: String,
}

impl Page {
    /// The page's words, without tags; entities as the characters that they stand for.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for piece in self.html.split('<') {
            text.push_str(piece.split_once('>').map_or(piece, |(_, words)| words));
            text.push(' ');
        }
        let text = text.replace("&#39;", "'").replace("&#38;", "&").replace("&#34;", "\"");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// How many widgets the page shows as fresh.
    pub fn fresh_widgets(&self) -> usize {
        self.html.matches("<strong>fresh</strong>").count()
    }

    /// Asserts that the page says something.
    ///
    /// # Panics
    /// When it doesn't.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        let text = self.text();
        assert!(text.contains(words), "the page lacks {words:?}: {} {text}", self.status);
        self
    }
}

impl Browser {
    /// A browser with no cookie yet.
    ///
    /// # Panics
    /// When the machine has no TLS.
    pub fn new(base: &str) -> Self {
        Self::at(base, Ipv4Addr::LOCALHOST)
    }

    /// The same behind a proxy, which says that the browser is at this address.
    ///
    /// # Panics
    /// When the machine has no TLS.
    pub fn at(base: &str, address: Ipv4Addr) -> Self {
        Self::with(Arc::default(), base.to_owned(), address)
    }

    /// This browser, with its cookies, taken to another address.
    ///
    /// # Panics
    /// When the machine has no TLS.
    #[must_use]
    pub fn moved_to(&self, address: Ipv4Addr) -> Self {
        Self::with(self.cookies.clone(), self.base.clone(), address)
    }

    fn with(cookies: Arc<Jar>, base: String, address: Ipv4Addr) -> Self {
        let forwarded = (HeaderName::from_static("x-forwarded-for"), address.to_string().try_into().expect("a header"));
        let builder = meta::builder().cookie_provider(cookies.clone()).redirect(redirect::Policy::none());
        let builder = builder.default_headers([forwarded].into_iter().collect()).timeout(Duration::from_mins(1));
        // A connection that was kept may be closed by the server at the moment it is used again; browsers ask anew then.
        let builder = builder.pool_max_idle_per_host(0);
        Self { client: builder.build().expect("a client"), cookies, base }
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() }
    }

    /// Asks for a page, without following where it leads.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn ask(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.expect("an answer")
    }

    /// Opens a page.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn open(&self, path: &str) -> Page {
        read(self.ask(path).await).await
    }

    /// Posts a form as it is.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.client.post(self.url(path)).form(fields).send().await.expect("an answer")
    }

    /// Presses a button: posts a form with the token that our pages carry.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn press(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let page = self.open("/token").await;
        let csrf = values_of(&page.html, "csrf").into_iter().next().unwrap_or_default();
        let mut form = vec![("csrf", csrf.as_str())];
        form.extend(fields);
        self.post(path, &form).await
    }

    /// Signs in.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn sign_in(&self, email: &str, password: &str) {
        let answer = self.post("/login", &[("email", email), ("password", password)]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "signed in");
    }

    /// Accepts the invitation that waits for this person.
    ///
    /// # Panics
    /// When there is none.
    pub async fn accept_invitation(&self) {
        let page = self.open("/accounts").await;
        let path = page.html.split("action=\"").filter_map(|rest| rest.split('"').next());
        let path = path.into_iter().find(|path| path.ends_with("/accept")).expect("an invitation").to_owned();
        assert_eq!(self.press(&path, &[]).await.status(), StatusCode::SEE_OTHER, "accepted");
    }

    /// Presses a button that leads to the login, answers the consent page, and comes back: the result page's path, or the
    /// page itself if the callback was refused.
    ///
    /// # Panics
    /// When the button doesn't lead to the login.
    pub async fn log_in(&self, button: &str, fields: &[(&str, &str)], answer: &Consent) -> Result<String, Page> {
        let login = location(&self.press(button, fields).await);
        let back = consent(&self.client, &Url::parse(&login).expect("a URL"), answer).await.expect("sent back");
        self.come_back(&back).await
    }

    /// Follows the redirect from the login.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn come_back(&self, back: &Url) -> Result<String, Page> {
        let answer = self.client.get(back.clone()).send().await.expect("an answer");
        if answer.status() == StatusCode::SEE_OTHER { Ok(location(&answer)) } else { Err(read(answer).await) }
    }

    /// The same, to the result page.
    ///
    /// # Panics
    /// When the callback is refused.
    pub async fn result(&self, button: &str, fields: &[(&str, &str)], answer: &Consent) -> Page {
        let path = self.log_in(button, fields, answer).await.expect("a result page");
        self.open(&path).await
    }

    /// Connects every account that a Facebook login reaches.
    ///
    /// # Panics
    /// When the callback is refused.
    pub async fn connect_all(&self, holder: String) {
        let path = self.log_in("/connect/business", &[], &Consent::of(holder)).await.expect("a result page");
        let ids = sandbox::person::values_of(&self.open(&path).await.html, "account");
        // With a single one there is nothing to choose.
        if !ids.is_empty() {
            let ids: Vec<_> = ids.iter().map(|id| ("account", id.as_str())).collect();
            self.press(&format!("{path}/choose"), &ids).await;
        }
    }

    /// Connects an account whose login reaches no other; the answer is its id.
    ///
    /// # Panics
    /// When it isn't connected.
    pub async fn connect(&self, connection: Connection, holder: String) -> String {
        let connect = format!("/connect/{connection}");
        let path = self.log_in(&connect, &[], &Consent::of(holder)).await.expect("a result page");
        found("the account", async || {
            let page = self.open(&path).await;
            let id = page.html.split("href=\"/accounts/").nth(1).and_then(|rest| rest.split('"').next());
            id.map(str::to_owned).ok_or_else(|| page.text())
        })
        .await
    }

    /// Adds a widget; the answer is its id.
    ///
    /// # Panics
    /// When it isn't added.
    pub async fn add_widget(&self, account: &str, plan: Plan) -> String {
        let before = self.widgets(account).await;
        let added = self.press(&format!("/accounts/{account}/widgets"), &[("plan", plan.name())]).await;
        assert_eq!(added.status(), StatusCode::SEE_OTHER);
        found("the widget", async || {
            self.widgets(account).await.into_iter().find(|widget| !before.contains(widget)).ok_or("it is not shown")
        })
        .await
    }

    /// The ids of an account's widgets.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn widgets(&self, account: &str) -> Vec<String> {
        let page = self.open(&format!("/accounts/{account}")).await;
        let found = page.html.split("href=\"/w/").skip(1).filter_map(|rest| rest.split('"').next());
        found.map(str::to_owned).collect()
    }

    /// Opens a page again and again until it says something.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub async fn until(&self, path: &str, words: &str) -> Page {
        self.until_so(path, words, |page| page.text().contains(words)).await
    }

    /// Opens a page again and again until this many widgets on it are fresh.
    ///
    /// # Panics
    /// When they aren't in time.
    pub async fn until_fresh(&self, path: &str, widgets: usize) -> Page {
        self.until_so(path, "fresh", |page| page.fresh_widgets() == widgets).await
    }

    async fn until_so(&self, path: &str, what: &str, is_so: impl Fn(&Page) -> bool) -> Page {
        found(&format!("{what:?} on {path}"), async || {
            let page = self.open(path).await;
            if is_so(&page) { Ok(page) } else { Err(page.text()) }
        })
        .await
    }
}

async fn read(response: Response) -> Page {
    Page { status: response.status(), html: response.text().await.expect("a page") }
}

/// Where an answer leads.
///
/// # Panics
/// When it leads nowhere.
#[track_caller]
pub fn location(response: &Response) -> String {
    let location = response.headers().get("location");
    let location = location.unwrap_or_else(|| panic!("leads nowhere: {}", response.status()));
    location.to_str().expect("a text").to_owned()
}
