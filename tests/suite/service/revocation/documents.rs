//! The signed documents, as HTTP has them.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::json;

use crate::harness::{TestApp, on_every_database};

on_every_database! {
    async fn a_list_comes_compressed_to_whoever_takes_it_and_is_asked_for_again_cheaply(database) {
        let app = TestApp::start(&database).await;
        for path in ["/status-lists/0", "/revocation/snapshot"] {
            let ask = |method| app.request(method, path);
            let plain = app.send(ask(Method::GET)).await;
            let again = ask(Method::GET).header("accept-encoding", "br, gzip;q=0.5");
            let packed = again.send().await.unwrap();
            let header = |name: &str| packed.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("content-encoding"), "gzip", "{path}");
            assert_eq!((header("vary").as_str(), plain.header("vary")), ("Accept-Encoding", "Accept-Encoding"));
            assert_eq!(plain.header("content-encoding"), "", "{path}");
            assert_eq!(header("content-type"), plain.header("content-type"));
            let tag = header("etag");
            assert_ne!(tag, plain.header("etag"), "another coding is another representation");
            let mut text = String::new();
            let bytes = packed.bytes().await.unwrap();
            GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
            assert_eq!(text.split('.').count(), 3, "a compact JWS: {text}");

            let refused = ask(Method::GET).header("accept-encoding", "gzip;q=0");
            assert_eq!(app.send(refused).await.header("content-encoding"), "", "{path}");
            let known = ask(Method::GET)
                .header("accept-encoding", "gzip")
                .header("if-none-match", format!("\"other\", {tag}"));
            let reply = app.send(known).await;
            assert_eq!((reply.status.as_u16(), reply.text.as_str()), (304, ""), "{path}");
            assert_eq!(reply.header("vary"), "Accept-Encoding");
            assert_eq!(app.send(ask(Method::HEAD)).await.status, 200);
            assert_eq!(app.send(ask(Method::OPTIONS)).await.status, 204);
            assert_eq!(app.send(ask(Method::POST)).await.status, 405);
        }
    }
}

on_every_database! {
    async fn the_lists_that_there_are_are_listed_and_have_one_address_each(database) {
        let app = TestApp::start(&database).await;
        let lists = app.get("/status-lists").await.json();
        let first = format!("{}/status-lists/0", app.issuer);
        assert_eq!(lists, json!({ "status_lists": [first] }));
        for other in ["1", "00", "+0", "0x0", "-1", "4294967296", "0%20", ""] {
            let reply = app.get(&format!("/status-lists/{other}")).await;
            assert_eq!(reply.status, 404, "{other:?}");
        }
        let list = |accept: &str| {
            let request = app.request(Method::GET, "/status-lists/0");
            app.send(request.header("accept", accept))
        };
        for accept in ["application/statuslist+jwt", "application/*", "text/html, */*;q=0.1"] {
            let reply = list(accept).await;
            assert_eq!(reply.header("content-type"), "application/statuslist+jwt", "{accept}");
        }
        for accept in ["application/statuslist+cwt", "text/*", "application/statuslist+jwt;q=0"] {
            let reply = list(accept).await;
            assert_eq!(reply.error(), (406, "not_acceptable".to_owned()), "{accept}");
        }
        let earlier = app.get("/status-lists/0?time=1763800000").await;
        assert_eq!(earlier.error(), (501, "not_implemented".to_owned()));
    }
}
