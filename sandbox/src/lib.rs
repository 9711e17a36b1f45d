//! A pretend Meta: a real HTTP server that plays both logins, the Graph API and consent pages.
//!
//! Relight talks to it exactly as it talks to Meta, and doesn't know the difference. It shares no code with the client
//! of Meta's APIs, since a shared mistake would hide itself. A library for tests, a program for people. What can be
//! done to it (a changed password, a removed app, an outage) is the list in [`Action`], by page, by JSON or from code.

mod callbacks;
mod cast;
mod consent;
mod control;
mod faults;
mod file;
mod graph;
mod mail;
pub mod person;
mod pictures;
mod server;
mod tokens;
mod world;

pub use control::Action;
pub use faults::FaultKind;
pub use mail::{Mail, PostOffice};
pub use server::{Config, Sandbox};
pub use world::{Account, Clock, Login, Page, Person, Standing, Token, World};
