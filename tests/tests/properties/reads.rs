//! Every page, stream and list answers whatever stands in its address.

use api::routes::{Route, table};
use engine::on_both_engines;
use proptest::{prelude::*, sample::Index};
use reqwest::Method;

use super::{
    inputs::query,
    running::{SERVICE, holds_async},
    service::{Service, caller, is_answered, segments},
};

on_both_engines! {
    async fn every_get_answers_any_address_without_a_5xx(engine: Engine) {
        let service = Service::start(engine).await;
        let routes: Vec<Route> = table().into_iter().filter(|route| route.method == Method::GET).collect();
        let inputs = (any::<Index>(), caller(), segments(), query());
        holds_async(SERVICE, &inputs, async |(route, caller, segments, query)| {
            let route = route.get(&routes);
            let url = format!("{}?{query}", service.url(route, &segments));
            let answered = is_answered(service.request(&caller, Method::GET, &url, route.surface)).await;
            answered.map_err(|error| TestCaseError::fail(format!("GET {url}: {error}")))
        });
        service.relight.stop().await;
    }
}
