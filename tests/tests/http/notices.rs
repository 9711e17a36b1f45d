//! Notices: who is told what, once; the link in it; and why nobody is told.

use ::api::sign_in::Role;
use chrono::{DateTime, TimeDelta};
use commands::notices::outbox::MAIL;
use domain::{Connection, account::Plan};
use engine::{jobs::Worker, on_both_engines, sql};
use sandbox::{Action, person::Consent};
use tests::{browser::Browser, found, relight::Relight, until};

const LUMA: &str = "luma.ceramics";
const ANN: &str = "ann@example.com";
const BEN: &str = "ben@example.com";

/// The three accounts of one login, each with an upgraded widget.
async fn mias_accounts(relight: &Relight, owner: &Browser) -> Vec<String> {
    owner.connect_all(relight.holder("Mia Berg")).await;
    let accounts = relight.accounts().await;
    assert_eq!(accounts.len(), 3);
    for account in &accounts {
        owner.add_widget(account, Plan::Upgraded).await;
        // Pulled once: the next call is the one that the test asks for.
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
    }
    accounts
}

/// The password changes, Relight finds out, and what is gathered is told.
async fn expire(relight: &Relight, owner: &Browser, account: &str, name: &str) {
    relight.act(Action::ChangePassword { holder: name.to_owned() });
    owner.press(&format!("/accounts/{account}/check"), &[]).await;
    owner.until(&format!("/accounts/{account}"), "Expired — password changed").await;
    settle(relight).await;
}

/// What happened is told once it was gathered.
async fn settle(relight: &Relight) {
    relight.pass_and_settle(TimeDelta::seconds(21)).await;
}

/// Waits until somebody has so many mails; returns the last.
async fn mail(relight: &Relight, address: &str, number: usize) -> (String, String) {
    let last = async || {
        let mut mails = relight.mails_to(address);
        assert!(mails.len() <= number, "too many: {mails:?}");
        if mails.len() == number { Ok(mails.remove(number - 1)) } else { Err(format!("{mails:?}")) }
    };
    found(&format!("mail {number}"), last).await
}

fn link(text: &str) -> String {
    let link = text.split("/r/").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a link");
    format!("/r/{link}")
}

async fn holds(relight: &Relight, account: &str, event: &str, times: usize) {
    let counted = async || {
        let events = relight.events(account).await;
        if events.iter().filter(|name| *name == event).count() == times { Ok(()) } else { Err(format!("{events:?}")) }
    };
    found(&format!("{times} {event}"), counted).await;
}

on_both_engines! {
    async fn an_owner_is_told_and_the_link_in_the_mail_mends_it(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        let here = format!("/accounts/{account}");
        expire(&relight, &owner, &account, LUMA).await;
        let (subject, text) = mail(&relight, ANN, 1).await;
        assert_eq!(subject, "@luma.ceramics needs a new login");
        assert!(text.contains("The password was changed, or there was a security reset.") && text.contains("Log in with Instagram"), "{text}");
        holds(&relight, &account, "NoticeSent", 1).await;
        owner.until(&here, "It needs a new login").await.says("told just now");
        // A stranger with the login, who never signs in.
        let stranger = relight.browser();
        stranger.open(&link(&text)).await.says("Reconnect @luma.ceramics");
        owner.until(&here, "→ opened").await;
        let done = stranger.result(&link(&text), &[], &Consent::of(relight.holder(LUMA))).await;
        done.says("@luma.ceramics is refreshed");
        owner.until(&here, "→ reconnected just now → widgets fresh").await;
        stranger.open(&link(&text)).await.says("has done its work");
        let journal = relight.journal(&account).await;
        let told = journal.iter().find(|event| event.event_type == "NoticeSent").expect("told");
        let refreshed = journal.iter().find(|event| event.event_type == "Refreshed").expect("refreshed");
        let link = engine::json(&told.payload)["NoticeSent"]["link"].as_str().expect("a link").to_owned();
        assert_eq!(engine::json(&refreshed.metadata)["causation"], format!("link {link}"));
        // And told that it is over, once.
        settle(&relight).await;
        let (subject, text) = mail(&relight, ANN, 2).await;
        assert_eq!(subject, "@luma.ceramics works again");
        assert!(text.contains("by a reconnect link, without signing in here") && !text.contains("/r/"), "{text}");
        relight.pass_and_settle(TimeDelta::hours(2)).await;
        owner.until(&here, "It works again").await;
        assert_eq!(relight.mails_to(ANN).len(), 2);
    }

    async fn people_are_reminded_before_data_access_ends(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        // Time passes so that the session is extended.
        for _ in 0..37 {
            relight.pass_and_settle(TimeDelta::days(2)).await;
        }
        assert_eq!(relight.mails_to(ANN), [], "not yet");
        for (number, days) in [(1, "in 14 days"), (2, "in 7 days"), (3, "tomorrow")] {
            relight.pass(TimeDelta::days(match number { 1 => 2, 2 => 7, _ => 6 }));
            let (subject, text) = mail(&relight, ANN, number).await;
            assert_eq!(subject, "@luma.ceramics: please log in again soon");
            assert!(text.contains(days) && text.contains("By our estimate"), "{text}");
        }
        relight.pass_and_settle(TimeDelta::days(3)).await;
        owner.until(&format!("/accounts/{account}"), "Access ends soon").await.says("@luma.ceramics Expiring soon");
        assert_eq!(relight.mails_to(ANN).len(), 3);
    }

    async fn a_deadline_that_moves_is_reminded_of_once_and_in_time(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        owner.connect_all(relight.holder("Ken Sato")).await;
        until("the account", async || relight.accounts().await.len() == 1).await;
        let account = relight.accounts().await.remove(0);
        owner.add_widget(&account, Plan::Upgraded).await;
        let reminders = || relight.mails_to(ANN).iter().filter(|(subject, _)| subject.contains("log in again soon")).count();
        let moved = async |by: TimeDelta, times: usize| {
            for token in relight.sandbox.world().tokens.values_mut() {
                token.data_access_expires_at += by;
            }
            relight.pass(TimeDelta::minutes(6));
            owner.press(&format!("/accounts/{account}/check"), &[]).await;
            holds(&relight, &account, "DataAccessMoved", times).await;
            settle(&relight).await;
            relight.pass_and_settle(TimeDelta::hours(1)).await;
        };
        // From 90 days to 10: told at once.
        moved(TimeDelta::days(-80), 1).await;
        until("a reminder", async || reminders() == 1).await;
        // A little later and earlier is the same reminder.
        moved(TimeDelta::hours(3), 2).await;
        moved(TimeDelta::hours(-5), 3).await;
        assert_eq!(reminders(), 1);
        relight.pass_until("the next one", TimeDelta::hours(6), async || reminders() == 2).await;
    }

    async fn many_accounts_of_one_owner_are_one_mail(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let accounts = mias_accounts(&relight, &owner).await;
        // They are one person's: no incident, however many they are.
        relight.act(Action::ChangePassword { holder: "Mia Berg".to_owned() });
        for account in &accounts {
            owner.press(&format!("/accounts/{account}/check"), &[]).await;
            owner.until(&format!("/accounts/{account}"), "Expired — password changed").await;
        }
        settle(&relight).await;
        let (subject, text) = mail(&relight, ANN, 1).await;
        assert_eq!(subject, "3 Instagram accounts need a new login");
        for name in ["fern.and.fog", "tiny.harbor", "paper.moon.press"] {
            assert!(text.contains(&format!("@{name}")), "{text}");
        }
        for account in &accounts {
            holds(&relight, account, "NoticeSent", 1).await;
        }
        assert_eq!(text.matches("/r/").count(), 3);

        // A year later it is forgotten; the journal goes on saying who was told.
        assert_eq!(relight.told_and_forgotten(relight.clock.now() - TimeDelta::days(1)).await, [1, 3]);
        assert_eq!(relight.told_and_forgotten(relight.clock.now() + TimeDelta::days(1)).await, [0, 0]);
        for account in &accounts {
            holds(&relight, account, "NoticeSent", 1).await;
        }
    }

    async fn what_follows_soon_after_a_mail_is_gathered_in_one(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let accounts = mias_accounts(&relight, &owner).await;
        relight.act(Action::ChangePassword { holder: "Mia Berg".to_owned() });
        for account in &accounts {
            owner.press(&format!("/accounts/{account}/check"), &[]).await;
            owner.until(&format!("/accounts/{account}"), "Expired — password changed").await;
            settle(&relight).await;
            owner.until(&format!("/accounts/{account}"), "It needs a new login").await;
        }
        assert!(mail(&relight, ANN, 1).await.0.ends_with(" needs a new login"), "the first leaves at once");
        relight.pass(TimeDelta::minutes(5));
        assert_eq!(mail(&relight, ANN, 2).await.0, "2 Instagram accounts need a new login");
        for account in &accounts {
            holds(&relight, account, "NoticeSent", 1).await;
        }
    }

    async fn what_is_mended_in_time_is_not_told(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(Action::CloseMail { closed: true });
        expire(&relight, &owner, &account, LUMA).await;
        owner.until(&format!("/accounts/{account}"), "waits after").await.says("the mail server is busy (421)");
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        relight.act(Action::CloseMail { closed: false });
        relight.pass_and_settle(TimeDelta::hours(1)).await;
        owner.until(&format!("/accounts/{account}"), "not sent: it was no longer so").await;
        assert_eq!(relight.mails_to(ANN), [], "neither the bad news nor the good");
    }

    async fn a_mail_whose_sender_was_stopped_may_have_been_sent(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(Action::CloseMail { closed: true });
        expire(&relight, &owner, &account, LUMA).await;
        owner.until(&format!("/accounts/{account}"), "waits after").await;
        // A node takes it, is stopped, and its lease ends.
        let (database, later) = (relight.store().database(), relight.clock.now() + TimeDelta::hours(1));
        let taken = Worker::new(database, "stopped").claim_in_order(MAIL, later, 1).await.expect("claims");
        assert_eq!(taken.len(), 1);
        let unsure = async || sql("SELECT unsure FROM mails").scalar::<bool>(database).await.expect("there");
        assert!(!unsure().await);
        sql("UPDATE jobs SET leased_until = $1 WHERE kind = 'mail'").bind(DateTime::UNIX_EPOCH).execute(database).await.expect("ended");
        relight.pass(TimeDelta::hours(1));
        until("it is unsure", unsure).await;
    }

    async fn only_who_wants_mails_gets_them(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let developer = relight.signed_in(BEN, Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        let here = format!("/accounts/{account}");
        owner.press(&format!("{here}/access"), &[("email", BEN), ("right", "developer")]).await;
        developer.accept_invitation().await;
        owner.open(&here).await.says("nobody who sees it has an upgraded widget");
        owner.add_widget(&account, Plan::Upgraded).await;
        owner.until_fresh(&here, 1).await;
        owner.press("/settings", &[]).await;
        owner.open(&here).await.says("nobody who sees it wants any");
        developer.press("/settings", &[("as_developer", "yes")]).await;
        developer.open("/settings").await.says("Saved");
        expire(&relight, &owner, &account, LUMA).await;
        mail(&relight, BEN, 1).await;
        assert_eq!(relight.mails_to(ANN), []);
    }

    async fn a_mail_server_that_loses_its_answer_gets_the_same_mail_again(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.sandbox.world().post.loses_answers = 1;
        expire(&relight, &owner, &account, LUMA).await;
        owner.until(&format!("/accounts/{account}"), "waits after 1 tries").await;
        relight.pass(TimeDelta::minutes(2));
        mail(&relight, ANN, 2).await;
        holds(&relight, &account, "NoticeSent", 1).await;
        let world = relight.sandbox.world();
        assert_eq!(world.post.mails[0].message_id, world.post.mails[1].message_id);
    }

    async fn two_nodes_tell_each_owner_once(engine: Engine) {
        if engine == engine::testing::Engine::Sqlite {
            return; // One file is one node's.
        }
        let relight = Relight::start_with_mails(engine).await;
        let node = relight.second_node().await;
        let names = [LUMA, "nordlicht.bakery", "oakandiron", "bluebird.bikes", "alta.climbing"];
        let mut owners = Vec::new();
        for name in names {
            let owner = relight.signed_in(&format!("{name}@example.com"), Role::Owner).await;
            owners.push((name, relight.connected(&owner, name).await, owner));
        }
        for _ in 0..3 {
            for (name, account, owner) in &owners {
                relight.act(Action::ChangePassword { holder: (*name).to_owned() });
                owner.press(&format!("/accounts/{account}/check"), &[]).await;
                owner.until(&format!("/accounts/{account}"), "Expired — password changed").await;
            }
            settle(&relight).await;
            for (_, account, owner) in &owners {
                owner.until(&format!("/accounts/{account}"), "told just now").await;
            }
            relight.pass(TimeDelta::minutes(6));
            for (name, account, owner) in &owners {
                owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(name))).await;
            }
            settle(&relight).await;
            relight.pass_and_settle(TimeDelta::minutes(6)).await;
        }
        for (name, account, _) in &owners {
            holds(&relight, account, "NoticeSent", 6).await;
            let mails = relight.mails_to(&format!("{name}@example.com"));
            let needs = mails.iter().filter(|(subject, _)| subject.contains("needs a new login")).count();
            assert_eq!((mails.len(), needs), (6, 3), "{name}: {mails:?}");
        }
        node.stop().await;
    }

    async fn who_may_have_been_told_hears_that_it_works_again(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.sandbox.world().post.loses_answers = 1;
        expire(&relight, &owner, &account, LUMA).await;
        owner.until(&format!("/accounts/{account}"), "the connection to the mail server broke").await;
        mail(&relight, ANN, 1).await;
        // Before the mail is tried again, somebody is faster.
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        settle(&relight).await;
        assert_eq!(mail(&relight, ANN, 2).await.0, "@luma.ceramics works again");
        relight.pass_and_settle(TimeDelta::minutes(2)).await;
        owner.until(&format!("/accounts/{account}"), "perhaps told").await;
        assert_eq!(relight.mails_to(ANN).len(), 2);
    }

    async fn whose_reminder_was_used_by_a_stranger_hears_of_it(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        relight.connected(&owner, LUMA).await;
        for _ in 0..38 {
            relight.pass_and_settle(TimeDelta::days(2)).await;
        }
        let (_, text) = mail(&relight, ANN, 1).await;
        // Mails are forwarded.
        let stranger = relight.browser();
        stranger.result(&link(&text), &[], &Consent::of(relight.holder(LUMA))).await.says("is refreshed");
        settle(&relight).await;
        let (subject, text) = mail(&relight, ANN, 2).await;
        assert_eq!(subject, "@luma.ceramics was refreshed");
        assert!(text.contains("by a reconnect link, without signing in here"), "{text}");
    }

    async fn a_refused_address_is_shown(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(Action::RefuseMail { address: ANN.to_owned(), refused: true });
        expire(&relight, &owner, &account, LUMA).await;
        owner.until(&format!("/accounts/{account}"), "not sent: the mail server refuses the address (550)").await;
        owner.open("/settings").await.says("did not arrive");
        assert!(!relight.events(&account).await.contains(&"NoticeSent".to_owned()));
    }

    async fn a_refresh_through_a_public_way_is_told(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        // One's own refresh isn't news.
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        settle(&relight).await;
        relight.browser().result("/token/consumer", &[], &Consent::of(relight.holder(LUMA))).await.says("is refreshed");
        settle(&relight).await;
        let (subject, _) = mail(&relight, ANN, 1).await;
        assert_eq!(subject, "@luma.ceramics was refreshed");
    }

    async fn without_a_mail_server_the_page_says_so(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in(ANN, Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        expire(&relight, &owner, &account, LUMA).await;
        owner.open(&format!("/accounts/{account}")).await.says("Relight has no mail server");
        owner.open("/settings").await.says("At the moment none go out");
    }
}
