//! How often who may do what: by address where nobody is signed in, by account for checks.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use domain::AccountId;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use crate::{app::App, error::Error};

/// All limits.
#[derive(Debug)]
pub struct Limits {
    sign_in: DefaultKeyedRateLimiter<IpAddr>,
    login: DefaultKeyedRateLimiter<IpAddr>,
    check: DefaultKeyedRateLimiter<AccountId>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A password hash takes tens of milliseconds of a core, and guesses should be slow.
            sign_in: RateLimiter::keyed(per_minute(10)),
            // Links, buttons and callbacks of a login: a person makes a handful; an office shares an address.
            login: RateLimiter::keyed(per_minute(60)),
            check: RateLimiter::keyed(per_minute(6)),
        }
    }
}

impl Limits {
    /// A try to sign in.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn sign_in(&self, from: IpAddr) -> Result<(), Error> {
        check(&self.sign_in, &from)
    }

    /// A step of a trip to Meta's login.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn login(&self, from: IpAddr) -> Result<(), Error> {
        check(&self.login, &from)
    }

    /// Somebody asks Meta about an account.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn check(&self, account: AccountId) -> Result<(), Error> {
        check(&self.check, &account)
    }

    /// Forgets those who have been quiet.
    pub fn tidy(&self) {
        self.sign_in.retain_recent();
        self.login.retain_recent();
        self.check.retain_recent();
    }
}

fn per_minute(times: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN))
}

fn check<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Error> {
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(governor::clock::DefaultClock::default().now());
        Error::TooMany(wait.as_secs() + 1)
    })
}

/// From where a request comes: the connection's other end, or what a trusted proxy says.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub IpAddr);

impl FromRequestParts<App> for Address {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let peer = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.ok_or_else(|| Error::Internal(anyhow::anyhow!("a connection without an address")))?;
        let proxies = &app.config.http.trusted_proxies;
        if !proxies.contains(&peer) {
            return Ok(Self(grouped(peer)));
        }
        // Each proxy appends whom it heard from: the last one that is no proxy of ours is the client.
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<IpAddr> =
            forwarded.flat_map(|value| value.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect();
        let client = hops.into_iter().rev().find(|hop| !proxies.contains(hop));
        Ok(Self(grouped(client.unwrap_or(peer))))
    }
}

/// Whoever has an IPv6 network has 2^64 addresses of it: they count as one.
pub(crate) fn grouped(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}
