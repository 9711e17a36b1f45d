//! A client of Meta's APIs, as far as keeping Instagram connections alive needs them.
//!
//! [`Consumer`] speaks Instagram Login, [`Business`] speaks Facebook Login; both end in the posts of an account. On the
//! way of a refresh this is where the code becomes a token and the token says whose it is. The crate knows Meta's
//! shapes and nothing of what they mean for a connection. Where the documentation and what is really answered differ,
//! both are accepted. Nothing that it returns as an error shows a token, a code, a secret or a URL.
//!
//! Source: Meta for Developers, "Instagram Platform" and "Facebook Login", read in versions up to v25.0.

mod budget;
mod business;
mod config;
mod consumer;
mod error;
mod facts;
mod http;
mod long_token;
mod media;
mod meter;
mod pages;
mod presence;
mod shape;
mod signed_request;
mod words;

pub use budget::{Budget, Now, Short, Usage};
pub use business::{AuthType, Business};
pub use config::{BusinessConfig, ConsumerConfig};
pub use consumer::{Consumer, Me, ShortToken};
pub use error::{ErrorAnswer, MetaError};
pub use facts::{End, Granted, Target, TokenFacts};
pub use http::{Heard, Http, builder, client, date};
pub use long_token::LongToken;
pub use media::{MediaType, Post};
pub use meter::{RESERVED_FROM, SLOWER_FROM};
pub use pages::{Detail, Edge, Linked, Listing, PAGE_LIMIT, Page, Rest};
pub use presence::Presence;
pub use shape::Profile;
pub use signed_request::SignedRequest;
