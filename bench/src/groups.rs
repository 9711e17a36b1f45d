//! The groups of measurements. A new one is a file with `measure`, and a line in [`GROUPS`].

use anyhow::Result;
use engine::testing::Engine::{self, Postgres, Sqlite};
use futures::future::LocalBoxFuture;

use crate::{
    accounts, append, bench::Bench, feed, follow, long, queue, rebuild, refresh, renewals, serve, sign_ins, storm,
};

/// Measurements that are made together.
pub(crate) struct Group {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it measures, as `--help` says it.
    pub(crate) about: &'static str,
    /// On which engines.
    pub(crate) engines: &'static [Engine],
    /// Whether `all` measures it.
    pub(crate) in_all: bool,
    /// Measures on one engine.
    pub(crate) measure: for<'a> fn(&'a Bench, Engine) -> LocalBoxFuture<'a, Result<()>>,
}

/// `group!(name, module, engines, whether it is in all, about)`; the module has `async fn measure(&Bench, Engine)`.
macro_rules! group {
    ($name:literal, $module:ident, $engines:expr, $in_all:expr, $about:literal) => {
        Group {
            name: $name,
            about: $about,
            engines: &$engines,
            in_all: $in_all,
            measure: |bench, engine| Box::pin($module::measure(bench, engine)),
        }
    };
}

/// In the order in which they are measured, and in which the table has them.
pub(crate) const GROUPS: &[Group] = &[
    group!("append", append, [Postgres, Sqlite], true, "Commands a second and their latency"),
    group!("long", long, [Postgres, Sqlite], true, "A command on a stream of 100,000 events"),
    group!("follow", follow, [Postgres, Sqlite], true, "Catching up with the journal, commit to view, histories"),
    group!("queue", queue, [Postgres, Sqlite], true, "Claims, no-op jobs a second, due to started"),
    group!("accounts", accounts, [Postgres, Sqlite], true, "The lists of a million accounts"),
    group!("serve", serve, [Sqlite], true, "Memory and start of the program"),
    group!("sign-ins", sign_ins, [Sqlite], true, "Memory while 1,000 try to sign in, 100 at once"),
    group!("feed", feed, [Sqlite], true, "A warm feed"),
    group!("refresh", refresh, [Postgres, Sqlite], true, "Callback to active account and fresh widgets"),
    group!("storm", storm, [Postgres, Sqlite], false, "100,000 tokens that run out at one moment (a minute)"),
    group!("rebuild", rebuild, [Postgres, Sqlite], false, "A rebuild of the jobs of a million accounts (minutes)"),
    group!("renewals", renewals, [Postgres, Sqlite], false, "100,000 tokens renewed by calls (ten minutes)"),
];

/// An engine's name for people.
pub(crate) const fn name(engine: Engine) -> &'static str {
    match engine {
        Sqlite => "SQLite",
        Postgres => "PostgreSQL",
    }
}
