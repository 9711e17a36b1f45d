//! Who may see and do what.

use ::api::sign_in::Role;
use domain::{Connection, account::Plan};
use engine::on_both_engines;
use reqwest::StatusCode;
use sandbox::person::Consent;
use tests::{browser::location, relight::Relight};

const ACTIONS: [&str; 9] =
    ["refresh", "switch", "check", "disconnect", "widgets", "access", "access/revoke", "link", "widgets/x/plan"];

const FIELDS: [(&str, &str); 6] = [
    ("sure", "yes"),
    ("plan", "free"),
    ("email", "ann@example.com"),
    ("right", "owner"),
    ("user", "01900000-0000-7000-8000-000000000000"),
    ("unused", ""),
];

on_both_engines! {
    async fn other_peoples_accounts_are_missing(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let ben = relight.signed_in("ben@example.com", Role::Owner).await;
        let events = relight.event_count().await;
        assert!(!ben.open("/accounts").await.text().contains("luma"));
        for path in ["", "/live"] {
            assert_eq!(ben.ask(&format!("/accounts/{account}{path}")).await.status(), StatusCode::NOT_FOUND);
        }
        for action in ACTIONS {
            let answer = ben.press(&format!("/accounts/{account}/{action}"), &FIELDS).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{action}");
        }
        assert_eq!(relight.event_count().await, events);
    }

    async fn who_is_not_signed_in_is_sent_to_sign_in_and_back(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let visitor = relight.browser();
        let to = location(&visitor.ask(&format!("/accounts/{account}")).await);
        assert_eq!(to, format!("/login?next=%2Faccounts%2F{account}"));
        visitor.open(&to).await.says("Sign in");
        let answer = visitor
            .post("/login", &[("email", "ann@example.com"), ("password", tests::relight::PASSWORD), ("next", &format!("/accounts/{account}"))])
            .await;
        assert_eq!(location(&answer), format!("/accounts/{account}"));
        let stranger = relight.browser();
        for action in ACTIONS {
            let answer = stranger.press(&format!("/accounts/{account}/{action}"), &FIELDS).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{action}");
        }
    }

    async fn a_developer_refreshes_and_manages_widgets_and_no_more(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let here = format!("/accounts/{account}");
        let dev = relight.signed_in("dev@example.com", Role::Owner).await;
        let answer = ann.press(&format!("{here}/access"), &[("email", "Dev@Example.com"), ("right", "developer")]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(dev.ask(&here).await.status(), StatusCode::NOT_FOUND, "not without consent");
        dev.accept_invitation().await;
        dev.add_widget(&account, Plan::Free).await;
        dev.result(&format!("{here}/refresh"), &[], &Consent::of(relight.holder("luma.ceramics"))).await.says("refreshed");
        for (action, fields) in [
            ("disconnect", &[("sure", "yes")][..]),
            ("switch", &[]),
            ("access", &[("email", "dev@example.com"), ("right", "owner")]),
        ] {
            let answer = dev.press(&format!("{here}/{action}"), fields).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{action}");
        }
        let page = dev.open(&here).await;
        assert!(!page.html.contains(&format!("{here}/disconnect")), "what can't be done isn't offered");
        // Promoted, the developer may; and then the first owner can leave.
        ann.press(&format!("{here}/access"), &[("email", "dev@example.com"), ("right", "owner")]).await;
        dev.open(&here).await.says("Disconnect");
        let me = own_id(&ann.open(&here).await.html);
        assert_eq!(location(&ann.press(&format!("{here}/access/revoke"), &[("user", &me)]).await), "/accounts");
        assert_eq!(ann.ask(&here).await.status(), StatusCode::NOT_FOUND);
        dev.open(&here).await.says("Active");
    }

    async fn the_last_owner_stays_while_others_have_access(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let dev = relight.signed_in("dev@example.com", Role::Owner).await;
        let here = format!("/accounts/{account}");
        ann.press(&format!("{here}/access"), &[("email", "dev@example.com"), ("right", "developer")]).await;
        dev.accept_invitation().await;
        let me = own_id(&ann.open(&here).await.html);
        let answer = ann.press(&format!("{here}/access/revoke"), &[("user", &me)]).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        ann.press(&format!("{here}/access"), &[("email", "ann@example.com"), ("right", "developer")]).await;
        ann.open(&here).await.says("Invite");
    }

    async fn an_invitation_tells_nothing_about_who_can_sign_in(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let dev = relight.signed_in("dev@example.com", Role::Owner).await;
        let here = format!("/accounts/{account}");
        let mut pages = Vec::new();
        for email in ["dev@example.com", "nil@example.com"] {
            let answer = ann.press(&format!("{here}/access"), &[("email", email), ("right", "developer")]).await;
            assert_eq!(location(&answer), format!("{here}#people"));
            let page = ann.open(&here).await;
            page.says(&format!("{email} is invited")).says(&format!("{email} (invited"));
            pages.push(page.text().matches("example.com").count());
        }
        assert_eq!(pages[0] + 1, pages[1], "one row more, and no other difference");
        // A developer's try, and a stranger's, end before any address is looked at.
        dev.accept_invitation().await;
        for email in ["ann@example.com", "nil@example.com"] {
            let answer = dev.press(&format!("{here}/access"), &[("email", email), ("right", "owner")]).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        }
        // An invitation can be withdrawn, declined, and ends with the inviter's right; a day has twenty.
        let withdraw = ann.open(&here).await.html.split("action=\"").filter_map(|rest| rest.split('"').next())
            .find(|path| path.ends_with("/withdraw")).expect("a button").to_owned();
        assert_eq!(ann.press(&withdraw, &[]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(ann.press(&withdraw, &[]).await.status(), StatusCode::NOT_FOUND);
        let mut refused = 0;
        for n in 0..25 {
            let email = format!("p{n}@example.com");
            ann.press(&format!("{here}/access"), &[("email", &email), ("right", "developer")]).await;
            refused += usize::from(ann.open(&here).await.text().contains("too many invitations"));
        }
        assert!(refused >= 5, "{refused}");
    }

    async fn of_many_who_take_an_invitation_back_at_once_one_is_told_that_it_was(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let dev = relight.signed_in("dev@example.com", Role::Owner).await;
        let here = format!("/accounts/{account}");
        for round in 0..4 {
            ann.press(&format!("{here}/access"), &[("email", "dev@example.com"), ("right", "developer")]).await;
            let (who, page, end) =
                if round % 2 == 0 { (&ann, here.as_str(), "/withdraw") } else { (&dev, "/accounts", "/decline") };
            let path = who.open(page).await.html.split("action=\"").filter_map(|rest| rest.split('"').next())
                .find(|path| path.ends_with(end)).expect("a button").to_owned();
            let all = futures::future::join_all((0..6).map(async |_| who.press(&path, &[]).await.status())).await;
            let done = all.iter().filter(|status| **status == StatusCode::SEE_OTHER).count();
            let late = all.iter().filter(|status| **status == StatusCode::NOT_FOUND).count();
            assert_eq!((done, late), (1, 5), "{all:?}");
        }
    }

    async fn invitations_made_at_once_are_counted_too(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let here = format!("/accounts/{account}");
        let (path, ann) = (&format!("{here}/access"), &ann);
        let asked = (0..60).map(async |n| {
            let email = format!("p{n}@example.com");
            ann.press(path, &[("email", &email), ("right", "developer")]).await.status()
        });
        for status in futures::future::join_all(asked).await {
            assert_eq!(status, StatusCode::SEE_OTHER);
        }
        assert_eq!(ann.open(&here).await.html.matches("/withdraw\"").count(), 20);
    }

    async fn an_account_has_fifty_invitations_whoever_makes_them(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let here = format!("/accounts/{account}");
        let mut owners = vec![ann.clone()];
        for name in ["ben", "cat"] {
            let email = format!("{name}@example.com");
            ann.press(&format!("{here}/access"), &[("email", &email), ("right", "owner")]).await;
            let owner = relight.signed_in(&email, Role::Owner).await;
            owner.accept_invitation().await;
            owners.push(owner);
        }
        let path = &format!("{here}/access");
        let asked = (0..60).map(|n| {
            let owner = owners[n % 3].clone();
            async move {
                let email = format!("p{n}@example.com");
                owner.press(path, &[("email", &email), ("right", "developer")]).await.status()
            }
        });
        for status in futures::future::join_all(asked).await {
            assert_eq!(status, StatusCode::SEE_OTHER);
        }
        assert_eq!(ann.open(&here).await.html.matches("/withdraw\"").count(), 50);
    }

    async fn an_invitation_of_somebody_who_lost_the_right_gives_none(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let (ben, cat) = (relight.signed_in("ben@example.com", Role::Owner).await, relight.signed_in("cat@example.com", Role::Owner).await);
        let here = format!("/accounts/{account}");
        ann.press(&format!("{here}/access"), &[("email", "ben@example.com"), ("right", "owner")]).await;
        ben.accept_invitation().await;
        ben.press(&format!("{here}/access"), &[("email", "cat@example.com"), ("right", "owner")]).await;
        let me = own_id(&ben.open(&here).await.html);
        assert_eq!(ann.press(&format!("{here}/access/revoke"), &[("user", &me)]).await.status(), StatusCode::SEE_OTHER);
        let page = cat.open("/accounts").await;
        let accept = page.html.split("action=\"").filter_map(|rest| rest.split('"').next())
            .find(|path| path.ends_with("/accept")).expect("an invitation").to_owned();
        assert_eq!(cat.press(&accept, &[]).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(cat.ask(&here).await.status(), StatusCode::NOT_FOUND);
    }

    async fn staff_sees_all_and_only_admins_change(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let here = format!("/accounts/{account}");
        let reference = ann.open(&here).await.text().split(" Connected ").nth(1).expect("an attempt")[..11].to_owned();
        for page in ["/events", "/operations", "/attempts"] {
            assert_eq!(ann.ask(page).await.status(), StatusCode::NOT_FOUND, "{page} is for staff");
        }
        for (email, role) in [("sue@example.com", Role::Support), ("aud@example.com", Role::Auditor)] {
            let staff = relight.signed_in(email, role).await;
            staff.open(&here).await.says("@luma.ceramics");
            staff.open("/events").await.says("Issued");
            for typed in [reference.to_lowercase(), reference.replace('-', ""), reference.replace('-', "%20")] {
                staff.open(&format!("/attempts?reference={typed}")).await.says("Connected").says(&account);
            }
            let operations = staff.open("/operations").await;
            operations.says("account_status").says("/oauth/consumer/callback").says("Meta, Facebook Answers");
            let answer = staff.press(&format!("{here}/disconnect"), &[("sure", "yes")]).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "only looks");
            let answer = staff.press(&format!("{here}/link"), &[]).await;
            let may = if role == Role::Support { StatusCode::SEE_OTHER } else { StatusCode::NOT_FOUND };
            assert_eq!(answer.status(), may, "support gives links out");
        }
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let answer = admin.press(&format!("{here}/disconnect"), &[("sure", "yes")]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let page = ann.open(&here).await;
        page.says("Disconnected").says("Disconnected. our staff,").says("You became an owner");
        assert!(!page.html.contains("root@example.com"));
    }
}

/// The user id in the button by which somebody leaves.
fn own_id(html: &str) -> String {
    let before = html.split("Leave</button>").next().expect("a page");
    let value = before.rsplit("name=\"user\" value=\"").next().and_then(|rest| rest.split('"').next());
    value.expect("a button to leave").to_owned()
}
