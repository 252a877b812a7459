//! Parameters twice, in odd encodings, too long or in the wrong place at the endpoints that clients
//! call without a browser; requests whose end two readers would see at two places; HTTP/2.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Method, RequestBuilder};

use crate::harness::app::TestClient;
use crate::harness::{Database, Reply, TestApp};

const FORM: &str = "application/x-www-form-urlencoded";

/// Where clients send forms without a browser.
const ENDPOINTS: [&str; 5] = [
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/introspect",
    "/oauth/par",
    "/oauth/challenge",
];

/// A service with a client that asks for tokens for itself.
async fn service() -> (TestApp, TestClient, Database) {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let orders = app.orders().await;
    (app, orders, database)
}

/// A body of a client that proves itself in the header, as it stands.
fn post(app: &TestApp, client: &TestClient, path: &str, body: impl Into<String>) -> RequestBuilder {
    untyped(app, client, path)
        .header(CONTENT_TYPE, FORM)
        .body(body.into())
}

fn untyped(app: &TestApp, client: &TestClient, path: &str) -> RequestBuilder {
    app.request(Method::POST, path)
        .basic_auth(&client.id, Some(&client.secret))
}

fn assert_nothing_issued(reply: &Reply, what: &str) {
    assert!(reply.status.is_client_error(), "{what}: {}", reply.text);
    assert!(!reply.text.contains("access_token"), "{what}");
    assert_eq!(reply.header("set-cookie"), "", "{what}");
}

#[tokio::test]
async fn attack_31_at_no_endpoint_may_a_parameter_be_there_twice() {
    let (app, orders, _database) = service().await;
    for path in ENDPOINTS {
        for name in [
            "grant_type",
            "client_id",
            "scope",
            "redirect_uri",
            "code",
            "code_verifier",
            "refresh_token",
            "token",
            "token_type_hint",
            "username",
            "password",
            "auth_session",
            "no_such_parameter",
        ] {
            // The same name in an escape is the same name; a twin without a value is a twin.
            let escaped = name.replacen('_', "%5F", 1).replacen("scope", "s%63ope", 1);
            for second in [name.to_owned(), escaped] {
                for (one, two) in [("a", "a"), ("a", "b"), ("", "a"), ("a", "")] {
                    let body = format!("{name}={one}&x=1&{second}={two}");
                    let reply = app.send(post(&app, &orders, path, &*body)).await;
                    let expected = (400, "invalid_request".to_owned());
                    assert_eq!(reply.error(), expected, "{path} {body}");
                }
            }
        }
    }
    // RFC 8707 §2: the one that may, and it does not bring others along.
    let good = "grant_type=client_credentials&resource=https://api.example.com";
    let twice = format!("{good}&resource=https://api.example.com");
    let reply = app.send(post(&app, &orders, "/oauth/token", twice)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let other = format!("{good}&resource=https://other.example.com");
    let reply = app.send(post(&app, &orders, "/oauth/token", other)).await;
    assert_eq!(reply.error(), (400, "invalid_target".to_owned()));
}

#[tokio::test]
async fn attack_31_a_body_means_what_it_says_whatever_charset_it_claims() {
    let (app, orders, _database) = service().await;
    let good = "grant_type=client_credentials&scope=orders:read";
    // UTF-16, with and without a mark; UTF-7 for `=`; EBCDIC would look as foreign.
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe][..], &wide].concat();
    let with_bom = [&[0xef, 0xbb, 0xbf][..], good.as_bytes()].concat();
    let utf7 = good.replace('=', "+AD0-").into_bytes();
    let overlong = good.replace("orders:read", "orders:rea%C1%A4").into_bytes();
    let raw_overlong = [good.as_bytes(), &[0xc1, 0xa4]].concat();
    for charset in ["utf-16", "utf-16le", "utf-7", "ibm037", "utf-8", "latin1"] {
        let content_type = format!("{FORM}; charset={charset}");
        for foreign in [&wide, &marked, &with_bom, &utf7, &overlong, &raw_overlong] {
            let request = untyped(&app, &orders, "/oauth/token")
                .header(CONTENT_TYPE, &content_type)
                .body(foreign.clone());
            let reply = app.send(request).await;
            let what = format!("{charset} {:?}", String::from_utf8_lossy(foreign));
            assert_nothing_issued(&reply, &what);
        }
    }
    // A proxy that reads the one and a server that reads the other see two requests.
    for types in [["application/json", FORM], [FORM, "application/json"]] {
        let request = untyped(&app, &orders, "/oauth/token").body(good);
        let add =
            |request: RequestBuilder, content_type| request.header(CONTENT_TYPE, content_type);
        let reply = app.send(types.into_iter().fold(request, add)).await;
        assert_nothing_issued(&reply, &types.join(" and "));
    }
    for encoding in ["gzip", "deflate", "br", "identity", "x"] {
        let encoded = post(&app, &orders, "/oauth/token", good);
        let reply = app.send(encoded.header("content-encoding", encoding)).await;
        assert_eq!(
            reply.error(),
            (400, "invalid_request".to_owned()),
            "{encoding}"
        );
    }
}

#[tokio::test]
async fn attack_31_a_megabyte_of_anything_is_not_read() {
    let (app, orders, _database) = service().await;
    let huge = "a ".repeat(500_000);
    for path in ENDPOINTS {
        for name in ["scope", "client_id", "token", "code", "refresh_token", "x"] {
            let request = app
                .request(Method::POST, path)
                .basic_auth(&orders.id, Some(&orders.secret))
                .form(&[(name, huge.as_str())]);
            let reply = app.send(request).await;
            let expected = (413, "invalid_request".to_owned());
            assert_eq!(reply.error(), expected, "{path} {name}");
        }
    }
    // What fits is looked at, and costs no more than looking.
    let many: Vec<String> = (0..1_500).map(|number| format!("s{number}")).collect();
    let parameters = [("scope", many.join(" "))];
    let request = app
        .form(&orders, "/oauth/token", &parameters)
        .timeout(Duration::from_secs(5));
    let reply = app.send(request).await;
    assert_eq!(reply.error().0, 400, "{}", reply.text);
    assert!(
        reply.text.len() < 1_000,
        "it is not repeated: {}",
        reply.text
    );
    app.access_token(&orders).await;
}

#[tokio::test]
async fn attack_31_controls_in_a_parameter_do_not_make_it_another() {
    let (app, orders, _database) = service().await;
    for tail in [
        "%00",
        "%0d%0aSet-Cookie:%20a=b",
        "%0a",
        "%7f",
        "%e2%80%ae",
        "%20",
        "%09",
    ] {
        for (name, value) in [
            ("grant_type", "client_credentials"),
            ("client_id", "orders"),
            ("scope", "orders:read"),
            ("resource", "https://api.example.com"),
        ] {
            let grant = if name == "grant_type" {
                String::new()
            } else {
                "&grant_type=client_credentials".to_owned()
            };
            for value in [format!("{value}{tail}"), format!("{tail}{value}")] {
                let body = format!("{name}={value}{grant}");
                let reply = app.send(post(&app, &orders, "/oauth/token", &*body)).await;
                assert_nothing_issued(&reply, &body);
                assert!(!reply.text.contains("a=b"), "{body}: {}", reply.text);
            }
        }
        let named = format!("grant_type{tail}=client_credentials");
        let reply = app.send(post(&app, &orders, "/oauth/token", &*named)).await;
        assert_nothing_issued(&reply, &named);
    }
}

#[tokio::test]
async fn attack_31_there_is_no_way_to_a_token_but_a_post() {
    let (app, orders, _database) = service().await;
    let query = "grant_type=client_credentials&token=x";
    for path in ENDPOINTS {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            let url = format!("{path}?{query}");
            let request = app
                .request(method.clone(), &url)
                .basic_auth(&orders.id, Some(&orders.secret));
            // A framework that minds these would make a POST of it.
            let request = [
                "x-http-method",
                "x-http-method-override",
                "x-method-override",
            ]
            .into_iter()
            .fold(request, |request, name| {
                request.header(HeaderName::from_static(name), "POST")
            });
            let reply = app.send(request).await;
            assert_eq!(reply.status, 405, "{method} {path}: {}", reply.text);
        }
        let in_url = post(&app, &orders, &format!("{path}?{query}"), "");
        let reply = app.send(in_url).await;
        assert_eq!(reply.error(), (400, "invalid_request".to_owned()), "{path}");
    }
    let tunnelled = post(
        &app,
        &orders,
        "/oauth/token",
        "_method=POST&grant_type=password",
    );
    let reply = app.send(tunnelled).await;
    assert_eq!(reply.error(), (400, "unsupported_grant_type".to_owned()));
}

/// What a server answers to bytes, until it hangs up or falls silent.
fn answer_to(app: &TestApp, bytes: &[u8]) -> String {
    let host = app.address.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // It may have hung up before all is written.
    let _refused = connection.write_all(bytes);
    let _gone = connection.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _reset = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<&str> {
    let starts = answer.match_indices("HTTP/1.1 ");
    starts
        .map(|(at, line)| &answer[at + line.len()..][..3])
        .collect()
}

#[tokio::test]
async fn attack_31_nobody_hides_a_request_in_the_body_of_another() {
    // RFC 9112 §6.3, §11.2: where a message ends is not to be guessed.
    let (app, _orders, _database) = service().await;
    let hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let head = format!("POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n");
    let chunks = "0\r\n\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    for (what, rest) in [
        (
            "a length and chunks",
            format!("Content-Length: 4\r\n{chunked}{chunks}"),
        ),
        (
            "two lengths",
            "Content-Length: 4\r\nContent-Length: 0\r\n\r\n".into(),
        ),
        (
            "one length twice",
            "Content-Length: 0\r\nContent-Length: 0\r\n\r\n".into(),
        ),
        (
            "two lengths in one line",
            "Content-Length: 4, 4\r\n\r\na=b&".into(),
        ),
        (
            "a length with a sign",
            "Content-Length: +4\r\n\r\na=b&".into(),
        ),
        ("a negative length", "Content-Length: -1\r\n\r\n".into()),
        (
            "a length in hexadecimal",
            "Content-Length: 0x4\r\n\r\na=b&".into(),
        ),
        (
            "a length beyond numbers",
            "Content-Length: 99999999999999999999\r\n\r\n".into(),
        ),
        ("no length", "Content-Length:\r\n\r\n".into()),
        (
            "blank before the colon",
            "Content-Length : 4\r\n\r\na=b&".into(),
        ),
        (
            "chunks by another name",
            format!("Transfer-Encoding: xchunked\r\n\r\n{chunks}"),
        ),
        (
            "chunks twice",
            format!("Transfer-Encoding: chunked, chunked\r\n\r\n{chunks}"),
        ),
        (
            "chunks in between",
            format!("Transfer-Encoding: chunked, identity\r\n\r\n{chunks}"),
        ),
        (
            "a tab that is none",
            format!("Transfer-Encoding: \u{b}chunked\r\n\r\n{chunks}"),
        ),
        (
            "two encodings",
            format!("Transfer-Encoding: identity\r\n{chunked}{chunks}"),
        ),
        (
            "a chunk beyond numbers",
            format!("{chunked}FFFFFFFFFFFFFFFFF\r\n\r\n"),
        ),
        ("a negative chunk", format!("{chunked}-1\r\n\r\n")),
        ("a chunk in C", format!("{chunked}0x0\r\n\r\n")),
        (
            "a line that goes on",
            "X: y\r\n Content-Length: 4\r\n\r\n".into(),
        ),
        ("a NUL", "X: a\0b\r\n\r\n".into()),
        ("a bare CR", "X: a\rContent-Length: 4\r\n\r\n".into()),
        ("two hosts", "Host: y\r\n\r\n".into()),
    ] {
        let answer = answer_to(&app, format!("{head}{rest}{hidden}").as_bytes());
        assert_eq!(statuses(&answer), ["400"], "{what}: {answer}");
    }
    let version = head.replace("HTTP/1.1", "HTTP/1.0");
    let answer = answer_to(
        &app,
        format!("{version}{chunked}{chunks}{hidden}").as_bytes(),
    );
    assert_eq!(statuses(&answer), ["400"], "chunks before there were any");
    // The body of a GET is its body and no next request.
    let length = hidden.len();
    let carrier = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let answer = answer_to(&app, format!("{carrier}{hidden}").as_bytes());
    assert_eq!(statuses(&answer), ["200"], "{answer}");
    let answer = answer_to(&app, format!("{hidden}{hidden}").as_bytes());
    assert_eq!(statuses(&answer), ["200", "200"], "two that are two");
}

#[tokio::test]
async fn attack_42_http_2_is_not_taken_up_in_the_clear() {
    // Neither rapid reset (CVE-2023-44487) nor a flood of CONTINUATION frames has anything to talk to.
    let (app, _orders, _database) = service().await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat();
    let answer = answer_to(&app, &preface);
    assert_eq!(statuses(&answer), ["400"], "with prior knowledge: {answer}");
    let upgrade = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let answer = answer_to(&app, upgrade.as_bytes());
    assert_eq!(statuses(&answer), ["200"], "by upgrade: {answer}");
    assert!(
        !answer.to_ascii_lowercase().contains("\r\nupgrade"),
        "{answer}"
    );
    let asked = |first_line: &str| {
        let request = format!("{first_line}\r\nHost: x\r\nX-Secret: tss1_secret\r\n\r\n");
        answer_to(&app, request.as_bytes())
    };
    let tunnel = asked("CONNECT evil.example:443 HTTP/1.1");
    assert_eq!(statuses(&tunnel), ["404"], "{tunnel}");
    let traced = asked("TRACE /healthz HTTP/1.1");
    assert_eq!(statuses(&traced), ["405"], "{traced}");
    assert!(!traced.contains("tss1_secret"), "{traced}");
}

#[tokio::test]
async fn attack_31_no_host_that_a_request_names_is_believed() {
    let (app, orders, _database) = service().await;
    let names = [
        "host",
        "x-forwarded-host",
        "x-host",
        "forwarded",
        "x-original-url",
        "x-rewrite-url",
    ];
    let astray = |request: RequestBuilder| {
        names.iter().fold(request, |request, name| {
            let value = match *name {
                "forwarded" => "host=evil.example;proto=https",
                "x-original-url" | "x-rewrite-url" => "/api/admin/clients",
                _ => "evil.example",
            };
            request.header(*name, value)
        })
    };
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
    ] {
        let straight = app.get(path).await;
        let reply = app.send(astray(app.request(Method::GET, path))).await;
        assert_eq!(
            (reply.status, &reply.text),
            (straight.status, &straight.text),
            "{path}"
        );
    }
    for path in [
        "/account",
        "/login",
        "/oauth/authorize",
        "/oauth/logout",
        "/status-lists",
        "/nowhere",
    ] {
        let reply = app.send(astray(app.request(Method::GET, path))).await;
        let headers = format!("{:?}", reply.headers);
        assert!(
            !headers.contains("evil") && !reply.text.contains("evil"),
            "{path}: {headers}"
        );
    }
    let request = astray(post(
        &app,
        &orders,
        "/oauth/token",
        "grant_type=client_credentials",
    ));
    let reply = app.send(request).await.json();
    let said = crate::harness::login::claims(reply["access_token"].as_str().unwrap());
    assert_eq!(said["iss"], app.issuer.as_str());
    assert!(!said.to_string().contains("evil"), "{said}");
}
