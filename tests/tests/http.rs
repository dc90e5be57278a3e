//! The HTTP surface over real sockets: who may ask, what is refused and how, and whole calls over WebRTC.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "http/tokens.rs"]
mod tokens;

use e2e::webrtc::{self, WebRtcCaller};
use e2e::{PATIENCE, TestServer, config};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Version};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CALLS: &str = "/v1/realtime/calls";

/// Well below the 15 s after which a call that was never connected is given up.
const SOON: Duration = Duration::from_secs(10);

fn offering(server: &TestServer, offer: impl Into<reqwest::Body>) -> RequestBuilder {
    Client::new()
        .post(server.url(CALLS))
        .header("Content-Type", "application/sdp")
        .body(offer)
}

async fn post(server: &TestServer, offer: &str) -> Response {
    offering(server, offer.to_owned()).send().await.unwrap()
}

async fn delete(server: &TestServer, location: &str) -> StatusCode {
    let request = Client::new().delete(server.url(location));
    request.send().await.unwrap().status()
}

fn location(response: &Response) -> String {
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The code of an error, whose shape is checked.
async fn code(response: Response) -> String {
    let body: Value = response.json().await.unwrap();
    let error = body["error"].as_object().unwrap();
    let mut fields: Vec<&str> = error.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["code", "message", "param", "type"]);
    assert!(!error["message"].as_str().unwrap().is_empty());
    error["code"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_webrtc_is_answered_aloud_until_it_is_deleted() {
    let server = TestServer::start(config()).await;
    let mut caller = WebRtcCaller::call(&server).await;
    caller.until_type("session_start").await;
    caller.until_state("WaitingForInput").await;
    caller
        .send(r#"{"type":"ask","text":"tell me a long story"}"#)
        .await;
    let words = caller.until_type("transcript").await;
    assert_eq!(
        (&words["role"], &words["text"]),
        (&"user".into(), &"tell me a long story".into())
    );
    caller.until_state("Speaking").await;
    caller.until_sound().await;
    assert_eq!(delete(&server, &caller.location).await, 204);
    assert_eq!(delete(&server, &caller.location).await, 404);
    let end = caller.until_type("session_end").await;
    assert_eq!(end["reason"], "hung-up");
    assert!(
        caller
            .location
            .ends_with(end["session_id"].as_str().unwrap())
    );
    caller.until_closed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_says_where_the_call_is() {
    let server = TestServer::start(config()).await;
    let response = post(&server, &webrtc::offer().await).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["content-type"], "application/sdp");
    let id = location(&response);
    assert!(
        id.strip_prefix("/v1/realtime/calls/")
            .is_some_and(|id| !id.is_empty())
    );
    assert!(response.text().await.unwrap().starts_with("v=0"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_refused_in_one_shape() {
    let server = TestServer::start(config()).await;
    let refused = async |request: RequestBuilder| {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), code(response).await)
    };
    let because = |status, code: &str| (status, code.to_owned());

    let offer = webrtc::offer().await;
    let sections = offer.split("\r\nm=");
    let without_audio: Vec<&str> = sections
        .filter(|section| !section.starts_with("audio"))
        .collect();
    let no_audio = without_audio.join("\r\nm=");
    assert_ne!(no_audio, offer);
    let plain = Client::new().post(server.url(CALLS));
    let plain = plain
        .header("Content-Type", "text/plain")
        .body(offer.clone());
    assert_eq!(refused(plain).await, because(415, "unsupported_media_type"));
    assert_eq!(
        refused(offering(&server, no_audio)).await,
        because(400, "invalid_offer")
    );
    assert_eq!(
        refused(offering(&server, "garbage")).await,
        because(400, "invalid_offer")
    );
    assert_eq!(
        refused(offering(&server, vec![b'v', b'=', 0xFF, 0xFE])).await,
        because(400, "invalid_offer")
    );
    let nobody = Client::new().post(server.url(&format!("{CALLS}?voice=nobody")));
    let nobody = nobody.header("Content-Type", "application/sdp").body(offer);
    assert_eq!(refused(nobody).await, because(400, "unknown_voice"));
    assert_eq!(
        refused(offering(&server, vec![b' '; 3 << 20])).await,
        because(413, "invalid_body")
    );
    let knock = Client::new().get(server.url("/ws"));
    assert_eq!(refused(knock).await, because(400, "not_a_websocket"));
    let gone = Client::new().delete(server.url("/v1/realtime/calls/nobody"));
    assert_eq!(refused(gone).await, because(404, "no_such_call"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_calls_as_the_settings_say_are_taken_and_the_next_is_told_when_to_come_back() {
    let mut config = config();
    config.server.max_sessions = 102;
    let server = TestServer::start(config).await;
    let offer = webrtc::offer().await;
    for call in 1..=102 {
        assert_eq!(post(&server, &offer).await.status(), 201, "call {call}");
    }
    let refused = post(&server, &offer).await;
    assert_eq!(refused.status(), 503);
    let seconds = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse::<u64>();
    assert!(seconds.is_ok_and(|seconds| seconds > 0));
    assert_eq!(code(refused).await, "server_full");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_deleted_before_it_is_connected_frees_its_place() {
    let mut config = config();
    config.server.max_sessions = 1;
    let server = TestServer::start(config).await;
    let offer = webrtc::offer().await;
    let first = post(&server, &offer).await;
    assert_eq!(post(&server, &offer).await.status(), 503);
    assert_eq!(delete(&server, &location(&first)).await, 204);
    assert_eq!(delete(&server, &location(&first)).await, 404);
    let taken = async { while post(&server, &offer).await.status() != 201 {} };
    tokio::time::timeout(SOON, taken)
        .await
        .expect("the place is free");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_over_tls_may_call_although_http_2_has_no_host_header() {
    let mut config = config();
    config.server.dev_tls = true;
    let server = TestServer::start(config).await;
    let client = Client::builder().tls_danger_accept_invalid_certs(true);
    let client = client.build().unwrap();
    let own = format!("https://{}", server.address);
    let ask = async |method, path: &str, origin: &str| {
        let request = client.request(method, format!("{own}{path}"));
        let response = request.header("Origin", origin).send().await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        code(response).await
    };
    // What is asked for is wrong each time; that this is noticed shows that the guard let it pass.
    assert_eq!(
        ask(Method::POST, CALLS, &own).await,
        "unsupported_media_type"
    );
    let nobody = format!("{CALLS}/nobody");
    assert_eq!(ask(Method::DELETE, &nobody, &own).await, "no_such_call");
    assert_eq!(
        ask(Method::POST, CALLS, "https://evil.example").await,
        "origin_not_allowed"
    );
    server.stop().await;
}

/// Posts as the page of `origin` that reaches the server under the name `host`.
async fn post_as(port: u16, host: &str, origin: &str) -> u16 {
    let url = format!("http://127.0.0.1:{port}{CALLS}");
    let request = Client::new()
        .post(url)
        .header("Host", host)
        .header("Origin", origin);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_to_loopback_makes_no_page_ones_own() {
    let mut local = config();
    local.server.allowed_origins = vec!["http://pages.example".into()];
    let server = TestServer::start(local).await;
    let port = server.address.port();
    let rebound = format!("rebound.example:{port}");
    assert_eq!(
        post_as(port, &rebound, &format!("http://{rebound}")).await,
        403
    );
    // 415: the guard let it pass, and there is no offer.
    let own = format!("localhost:{port}");
    assert_eq!(post_as(port, &own, &format!("http://{own}")).await, 415);
    assert_eq!(
        post_as(port, "pages.example", "http://pages.example").await,
        415
    );
    server.stop().await;

    let mut network = config();
    network.server.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let server = TestServer::start(network).await;
    let port = server.address.port();
    let named = format!("parlor.example:{port}");
    assert_eq!(post_as(port, &named, &format!("http://{named}")).await, 415);
    assert_eq!(post_as(port, &named, "http://pages.example").await, 403);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_allowed_origin_may_use_the_api_from_its_browser() {
    const PAGE: &str = "https://pages.example";
    let mut config = config();
    config.server.allowed_origins = vec![PAGE.into()];
    config.server.api_key = Some("correct horse".to_owned().into());
    let server = TestServer::start(config).await;
    let listed = |headers: &HeaderMap, name: HeaderName| {
        let value = headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_ascii_lowercase());
        let items = value.unwrap_or_default();
        items
            .split(',')
            .map(|item| item.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let preflight = async |origin: &str| {
        let request = Client::new().request(Method::OPTIONS, server.url(CALLS));
        let request = request
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header(
                "Access-Control-Request-Headers",
                "authorization,content-type",
            );
        let response = request.send().await.unwrap();
        assert!(response.status().is_success());
        response.headers().clone()
    };
    use reqwest::header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS,
    };
    // The browser asks first, and without the key.
    let may = preflight(PAGE).await;
    assert_eq!(may[ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    assert_eq!(
        listed(&may, ACCESS_CONTROL_ALLOW_METHODS),
        ["get", "post", "delete"]
    );
    assert_eq!(
        listed(&may, ACCESS_CONTROL_ALLOW_HEADERS),
        ["content-type", "authorization", "x-sandbox-id"]
    );
    let may_not = preflight("https://evil.example").await;
    assert!(!may_not.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));

    let offer = webrtc::offer().await;
    let from_page = |key| {
        offering(&server, offer.clone())
            .header("Origin", PAGE)
            .bearer_auth(key)
    };
    let answer = from_page("correct horse").send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    assert!(listed(answer.headers(), ACCESS_CONTROL_EXPOSE_HEADERS).contains(&"location".into()));
    // A refusal, too, may be read.
    let refusal = from_page("wrong").send().await.unwrap();
    assert_eq!(refusal.status(), 401);
    assert_eq!(refusal.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_says_goodbye_to_an_idle_websocket_and_completes_its_recording() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config();
    config.recorder.directory = directory.path().to_owned();
    let server = TestServer::start(config).await;
    let mut caller = server.call("/ws").await;
    let id = caller.until_type("session_start").await["session_id"].clone();
    let goodbye = async {
        let end = caller.until_type("session_end").await;
        assert_eq!(
            (&end["session_id"], &end["reason"]),
            (&id, &"hung-up".into())
        );
        assert_eq!(caller.until_closed().await, Some(1000));
    };
    tokio::join!(server.stop(), goodbye);
    let file = directory
        .path()
        .join(format!("{}.call", id.as_str().unwrap()));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("hung-up"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_says_goodbye_over_webrtc() {
    let server = TestServer::start(config()).await;
    let mut caller = WebRtcCaller::call(&server).await;
    caller.until_type("session_start").await;
    let endpoint = server.app.webrtc.clone().unwrap();
    let goodbye = async {
        caller.until_type("session_end").await;
        caller.until_closed().await;
    };
    tokio::join!(server.stop(), goodbye);
    assert_eq!(endpoint.statistics().calls, 0);
}

/// Says `words`, then nothing, and waits until the server has closed the connection.
async fn stall(server: &TestServer, words: &[u8]) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(words).await.unwrap();
    let mut answer = Vec::new();
    let closed = stream.read_to_end(&mut answer);
    // Closing it and cutting it off are the same here.
    let _ = tokio::time::timeout(PATIENCE, closed)
        .await
        .expect("the server closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let server = TestServer::start(config()).await;
    tokio::join!(
        stall(&server, b""),
        stall(&server, b"PRI * HTTP/2.0\r\n"),
        stall(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "),
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_and_the_metrics_answer() {
    let server = TestServer::start(config()).await;
    let page = Client::new().get(server.url("/")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.headers().contains_key("content-security-policy"));

    // A port that is free now; nobody else is told of it.
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let metrics = async {
        let request = Client::new().get(format!("http://{listen}/metrics"));
        request.send().await.unwrap().text().await.unwrap()
    };
    let metrics = tokio::select! {
        // First, so that the port is bound when it is asked.
        biased;
        ended = parlor::server::serve_metrics(listen) => panic!("{ended:?}"),
        metrics = metrics => metrics,
    };
    assert!(metrics.contains("parlor_build_info"), "{metrics}");
    server.stop().await;
}
