//! Mails leave encrypted, to a mail server whose certificate is checked.

use domain::account::Plan;
use engine::testing::Engine;
use sandbox::{Action, Sandbox};
use store::testing::TestDatabase;
use tests::{
    browser::Browser,
    process::Settings,
    relight::PASSWORD,
    tls_mail::{Begins, TlsMail},
};

const ANN: &str = "ann@example.com";

/// A program whose owner has an account that needs a new login: a mail is due, some 20 seconds later.
struct Place {
    sandbox: Sandbox,
    settings: Settings,
    _database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let sandbox = tests::sandbox().await;
        let database = TestDatabase::new(Engine::Sqlite).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::new(&sandbox, &database, folder.path());
        settings.set("MAIL__FROM", "Relight <relight@relight.example>");
        let add = ["user", "add", "--email", ANN, "--role", "owner", "--password-stdin"];
        assert!(settings.run(&add, PASSWORD).status.success());
        Self { sandbox, settings, _database: database, folder }
    }

    async fn expire(&self) -> Browser {
        let owner = Browser::new(&self.settings.base);
        owner.sign_in(ANN, PASSWORD).await;
        let holder = self.sandbox.world().account_id("luma.ceramics").expect("in the cast");
        let account = owner.connect(domain::Connection::Consumer, holder).await;
        owner.add_widget(&account, Plan::Upgraded).await;
        self.sandbox.act(Action::ChangePassword { holder: "luma.ceramics".to_owned() }).expect("done");
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        owner.until(&format!("/accounts/{account}"), "Expired").await;
        owner
    }
}

async fn goes_through(begins: Begins) {
    let mut place = Place::new().await;
    let server = TlsMail::start(&place.sandbox, begins, place.folder.path()).await;
    let url = match begins {
        Begins::WithTls => format!("smtps://localhost:{}", server.port),
        Begins::InTheClear => format!("smtp://localhost:{}?tls=required", server.port),
    };
    place.settings.set("SMTP__URL", &url).set_plain("SSL_CERT_FILE", &server.certificate.display().to_string());
    let process = place.settings.start().await;
    place.expire().await;
    process.until_said("a mail was sent").await;
    let world = place.sandbox.world();
    assert_eq!(world.post.mails.len(), 1);
    assert_eq!(world.post.mails[0].subject, "@luma.ceramics needs a new login");
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_through_tls() {
    goes_through(Begins::WithTls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_through_starttls() {
    goes_through(Begins::InTheClear).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let mut place = Place::new().await;
    let server = TlsMail::start(&place.sandbox, Begins::InTheClear, place.folder.path()).await;
    place.settings.set("SMTP__URL", &format!("smtp://localhost:{}?tls=required", server.port));
    let process = place.settings.start().await;
    place.expire().await;
    process.until_said("the mail server's certificate is not accepted").await;
    assert_eq!(place.sandbox.world().post.mails.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_starttls_gets_no_mail() {
    let mut place = Place::new().await;
    place.settings.set("SMTP__URL", &format!("{}?tls=required", place.sandbox.smtp_url()));
    let process = place.settings.start().await;
    place.expire().await;
    process.until_said("the mail server offers no STARTTLS").await;
    assert_eq!(place.sandbox.world().post.mails.len(), 0);
}
