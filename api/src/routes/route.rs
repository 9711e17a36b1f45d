//! One entry of the table of routes.

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};
use utoipa::openapi::path::Paths;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::{app::App, sign_in::Role};

/// Where the API stands.
pub(super) const API: &str = "/api/v1";

/// One route.
pub struct Route {
    /// Its method; a `GET` answers `HEAD` too.
    pub method: Method,
    /// Its path, with placeholders in braces.
    pub path: &'static str,
    /// Who may call it.
    pub who: Who,
    /// What trail a call leaves.
    pub audit: Audit,
    /// What it looks like from the outside.
    pub surface: Surface,
    pub(super) handler: MethodRouter<App>,
    pub(super) description: Option<Description>,
}

/// What the API's description says about a route: its operation, and the schemas that it refers to.
pub(super) struct Description {
    pub(super) schemas: Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>,
    pub(super) paths: Paths,
}

/// Who may call a route. Rights on a single account are the use case's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anybody, signed in or not.
    Anyone,
    /// People who are signed in with one of these roles.
    People(&'static [Role]),
    /// Machines whose API key has one of these roles.
    Keys(&'static [Role]),
}

/// What trail a call leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// These events, in the journal.
    Event(&'static str),
    /// No event, and why.
    None(&'static str),
}

/// What a route looks like from the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// A page or a form, with a session; errors are pages.
    Page,
    /// Server-sent events for a page, with a session.
    Stream,
    /// JSON under `/api/v1`; errors are problem details.
    Api,
    /// For browsers' assets, Meta and orchestrators: no session.
    Machine,
    /// Outside of all layers.
    Bare,
}

impl Route {
    fn of<H, T>(surface: Surface, method: Method, path: &'static str, who: Who, audit: Audit, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::TRACE);
        Self { method, path, who, audit, surface, handler: on(filter, handler), description: None }
    }

    pub(super) fn page<H, T>(method: Method, path: &'static str, who: Who, audit: Audit, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::of(Surface::Page, method, path, who, audit, handler)
    }

    pub(super) fn stream<H, T>(path: &'static str, who: Who, audit: Audit, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::of(Surface::Stream, Method::GET, path, who, audit, handler)
    }

    pub(super) fn machine<H, T>(method: Method, path: &'static str, audit: Audit, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::of(Surface::Machine, method, path, Who::Anyone, audit, handler)
    }

    pub(super) fn bare<H, T>(path: &'static str, audit: Audit, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::of(Surface::Bare, Method::GET, path, Who::Anyone, audit, handler)
    }

    /// A route of the API: method and path stand at its handler too, where its description is; [`Self::check`] compares.
    pub(super) fn api(
        method: Method,
        path: &'static str,
        who: Who,
        audit: Audit,
        (schemas, paths, handler): UtoipaMethodRouter<App>,
    ) -> Self {
        let description = Some(Description { schemas, paths });
        Self { method, path, who, audit, surface: Surface::Api, handler, description }
    }

    /// Whether the entry says what its handler's description says.
    ///
    /// # Errors
    /// The entry that doesn't.
    pub fn check(&self) -> Result<(), String> {
        let Some(description) = &self.description else { return Ok(()) };
        let described = self.path.strip_prefix(API).and_then(|path| description.paths.paths.get(path));
        let operation = described.and_then(|item| match self.method {
            Method::GET => item.get.as_ref(),
            Method::POST => item.post.as_ref(),
            Method::PATCH => item.patch.as_ref(),
            Method::DELETE => item.delete.as_ref(),
            _ => None,
        });
        match operation {
            Some(_) => Ok(()),
            None => Err(format!("the handler of {} {} describes another route", self.method, self.path)),
        }
    }
}
