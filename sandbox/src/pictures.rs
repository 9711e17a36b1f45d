//! The pictures of the posts: drawn from the post's id, so that each is always the same and no two look alike.

use std::fmt::Write;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};

/// `GET /pictures/{post}.svg`.
pub(crate) async fn picture(Path(name): Path<String>) -> Response {
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let hue = seed % 360;
    let mut circles = String::new();
    for number in 0..5 {
        let bits = seed.rotate_left(number * 11);
        let (x, y, r) = (bits % 640, (bits >> 16) % 640, 60 + (bits >> 32) % 160);
        let tone = (hue + u64::from(number) * 24) % 360;
        let _ = write!(circles, "<circle cx='{x}' cy='{y}' r='{r}' fill='hsl({tone} 55% 60% / .55)'/>");
    }
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 640'><defs><linearGradient id='g' x2='1' y2='1'>\
         <stop stop-color='hsl({hue} 60% 78%)'/><stop offset='1' stop-color='hsl({} 50% 45%)'/></linearGradient></defs>\
         <rect width='640' height='640' fill='url(#g)'/>{circles}</svg>",
        (hue + 50) % 360
    );
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")], svg).into_response()
}
