//! The stylesheets, the script and the icon, compiled in.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=300")], text).into_response()
}

/// `GET /assets/style.css`.
pub async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../assets/style.css"))
}

/// `GET /assets/widget.css`.
pub async fn widget_style() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../assets/widget.css"))
}

/// `GET /assets/live.js`.
pub async fn live() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/live.js"))
}

/// `GET /assets/icon.svg`.
pub async fn icon() -> Response {
    asset("image/svg+xml", include_str!("../../assets/icon.svg"))
}
