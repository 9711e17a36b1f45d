//! Lists of accounts: what is found, in which order, and by whom.

use domain::{AccountId, UserId};
use engine::{Store, on_both_engines};
use projections::accounts::{self, Cursor, Filter, Viewer};
use store::testing::TestDatabase;
use uuid::Uuid;

use crate::world::{do_sql, happen, registry};

/// Connects accounts with these names, a minute apart; the user who connected each is chosen by its place.
async fn connected(store: &Store, names: &[&str]) -> Vec<AccountId> {
    let mut ids = Vec::new();
    for (minutes, name) in (0..).zip(names) {
        let id = AccountId::new(Uuid::now_v7());
        // 0: the first user connects it; 19: a grant.
        for choice in [0, 19] {
            happen(store, id, minutes, choice).await;
        }
        let sql = format!(
            "INSERT INTO profiles (account_id, instagram_id, username, username_lower, updated_at) \
             VALUES ('{id}', '{minutes}', '{name}', '{}', CURRENT_TIMESTAMP)",
            name.to_lowercase()
        );
        do_sql(store, &sql).await;
        ids.push(id);
    }
    registry().catch_up(store, "account_status").await.expect("follows");
    ids
}

async fn found(store: &Store, viewer: Viewer, search: &str, status: Option<&str>) -> Vec<String> {
    let search = Some(search.to_owned()).filter(|search| !search.is_empty());
    let mut filter = Filter { status: status.map(str::to_owned), search, after: None };
    let mut names = Vec::new();
    // Two at a time: what is on one page is on no other.
    loop {
        let page = accounts::list(store.database(), viewer, &filter, 2).await.expect("a list");
        let Some(last) = page.last() else { return names };
        let next = Cursor::of(&filter, last).to_string();
        filter.after = Some(next.parse().expect("our own"));
        names.extend(page.into_iter().map(|account| account.username));
    }
}

on_both_engines! {
    async fn names_are_found_by_any_part(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let ids = connected(&store, &["Luma.Ceramics", "my_luma", "ceramic", "lum%a", "a_b", "axb", "o\u{f6}l.shop"]).await;
        let all = ["Luma.Ceramics", "a_b", "axb", "ceramic", "lum%a", "my_luma", "o\u{f6}l.shop"];
        let sorted = |mut names: Vec<String>| { names.sort(); names };
        assert_eq!(sorted(found(&store, Viewer::Staff, "", None).await), all);
        for (search, names) in [
            ("LUMA", &["Luma.Ceramics", "my_luma"][..]),
            ("ceramic", &["Luma.Ceramics", "ceramic"]),
            ("y_l", &["my_luma"]),
            ("a_b", &["a_b"]),
            ("um%", &["lum%a"]),
            ("\u{f6}l.", &["o\u{f6}l.shop"]),
            ("um\"a", &[]),
            ("lum OR ceramic", &[]),
            // Too short to look for everywhere: how a name begins.
            ("lu", &["Luma.Ceramics", "lum%a"]),
            ("a", &["a_b", "axb"]),
            ("%", &[]),
        ] {
            assert_eq!(sorted(found(&store, Viewer::Staff, search, None).await), names, "{search}");
        }
        // A new name is found at once, the old one not any more, and one that is gone neither.
        do_sql(&store, &format!("UPDATE profiles SET username = 'new.name', username_lower = 'new.name' WHERE account_id = '{}'", ids[0])).await;
        do_sql(&store, &format!("DELETE FROM profiles WHERE account_id = '{}'", ids[1])).await;
        assert_eq!(found(&store, Viewer::Staff, "luma", None).await, Vec::<String>::new());
        assert_eq!(found(&store, Viewer::Staff, "w.nam", None).await, ["new.name"]);
    }

    async fn those_of_one_status_come_by_when_they_came_to_it(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let ids = connected(&store, &["c", "a", "b", "d.long", "e.long"]).await;
        assert_eq!(found(&store, Viewer::Staff, "", None).await, ["a", "b", "c", "d.long", "e.long"]);
        assert_eq!(found(&store, Viewer::Staff, "", Some("active")).await, ["e.long", "d.long", "b", "a", "c"]);
        // 7: it expires.
        for (minutes, index) in [(20, 2), (21, 0), (22, 3)] {
            happen(&store, ids[index], minutes, 7).await;
        }
        registry().catch_up(&store, "account_status").await.expect("follows");
        assert_eq!(found(&store, Viewer::Staff, "", Some("expired")).await, ["d.long", "c", "b"]);
        assert_eq!(found(&store, Viewer::Staff, "long", Some("expired")).await, ["d.long"]);
        assert_eq!(accounts::counts(store.database(), Viewer::Staff).await.expect("counts"), [2, 3, 0]);
    }

    async fn a_customer_sees_and_counts_only_their_own(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let ids = connected(&store, &["mine.too", "others", "mine"]).await;
        let (first, second) = (UserId::new(Uuid::from_u128(1)), UserId::new(Uuid::from_u128(2)));
        // 1: the second user becomes a developer; all are the first user's.
        for id in [ids[0], ids[2]] {
            happen(&store, id, 30, 1).await;
        }
        registry().catch_up(&store, "account_status").await.expect("follows");
        assert_eq!(found(&store, Viewer::User(first), "", None).await, ["mine", "mine.too", "others"]);
        let second = Viewer::User(second);
        assert_eq!(found(&store, second, "", None).await, ["mine", "mine.too"]);
        assert_eq!(found(&store, second, "", Some("active")).await, ["mine", "mine.too"]);
        assert_eq!(found(&store, second, "other", None).await, Vec::<String>::new());
        assert_eq!(found(&store, second, ".too", Some("active")).await, ["mine.too"]);
        assert_eq!(accounts::counts(store.database(), second).await.expect("counts"), [2, 0, 0]);
        let nobody = Viewer::User(UserId::new(Uuid::from_u128(9)));
        assert_eq!(found(&store, nobody, "", None).await, Vec::<String>::new());
    }
}
