//! What every answer says to browsers and caches.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::app::App;

/// What answers without a policy of their own may load: nothing.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What the explorer of the API may load: its own files, with the styles that its script sets.
const EXPLORER: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// No page of ours asks for a device or a sensor.
const PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";
/// Two years, for this host alone. Source: RFC 6797.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Adds what an answer lacks. Only `/w/*` may be framed by other sites.
pub async fn harden(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (framed, explorer) = (path.starts_with("/w/"), path == "/docs" || path.starts_with("/docs/"));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Addresses hold codes and link tokens: none of them leaves with a click. (Stricter still, `no-referrer`, would make
    // browsers send our own forms with `Origin: null`.)
    set(headers, header::REFERRER_POLICY, "same-origin");
    set(headers, PERMISSIONS_POLICY, PERMISSIONS);
    if !framed {
        set(headers, header::X_FRAME_OPTIONS, "DENY");
        // The login at Meta is a redirect of the same window: it needs no opener.
        set(headers, OPENER_POLICY, "same-origin");
    }
    if app.config.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        secure_cookies(headers);
    }
    or_set(headers, header::CONTENT_SECURITY_POLICY, if explorer { EXPLORER } else { NOTHING });
    // Answers name accounts, and some of them links and keys.
    or_set(headers, header::CACHE_CONTROL, "no-store");
    response
}

/// Lets each cookie say `Secure`: browsers ignore what sets or removes a `__Host-` cookie without it, and the session's removal
/// comes without. Source: RFC 6265bis, section 4.1.3.2.
fn secure_cookies(headers: &mut HeaderMap) {
    if let header::Entry::Occupied(mut cookies) = headers.entry(header::SET_COOKIE) {
        for cookie in cookies.iter_mut() {
            let Ok(text) = cookie.to_str() else { continue };
            if text.split(';').any(|part| part.trim().eq_ignore_ascii_case("secure")) {
                continue;
            }
            if let Ok(secure) = HeaderValue::try_from(format!("{text}; Secure")) {
                *cookie = secure;
            }
        }
    }
}

/// What a feed says, which any website may read.
pub(crate) fn of_feed(app: &App, headers: &mut HeaderMap) {
    if app.config.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn or_set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
