use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

/// A server on this machine that gives every request the same answer.
struct Receiver {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Receiver {
    async fn answering(answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let answer = answer.into();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                sender.send(read_request(&mut connection).await).unwrap();
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, requests }
    }

    async fn with_status(status: &str) -> Self {
        Self::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await
    }

    fn url(&self, host: &str) -> WebUrl {
        let port = self.address.port();
        format!("http://{host}:{port}/logout?tenant=acme")
            .parse()
            .unwrap()
    }

    /// What was asked so far.
    fn requests(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

/// Head and body of one request.
async fn read_request(connection: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&text) {
        let length = connection.read(&mut buffer).await.unwrap();
        if length == 0 {
            break;
        }
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    text
}

fn is_whole(request: &str) -> bool {
    request.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        body.len() >= length
    })
}

fn receivers(private: &str, loopback: bool) -> HttpLogoutReceivers {
    let private = private.parse().unwrap();
    HttpLogoutReceivers::new(Reach { private, loopback }).unwrap()
}

async fn deliver_at_home(receiver: &Receiver) -> Result<(), DeliveryFailure> {
    let url = receiver.url("127.0.0.1");
    receivers("", true).deliver(&url, "a.b.c").await
}

fn failed(outcome: Result<(), DeliveryFailure>) -> String {
    match outcome {
        Err(DeliveryFailure::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_posted_as_a_form() {
    let mut receiver = Receiver::with_status("200 OK").await;
    let url = receiver.url("127.0.0.1");
    let outcome = receivers("", true).deliver(&url, "eyJ.a-b_c.&=+").await;
    assert_eq!(outcome, Ok(()));
    let requests = receiver.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /logout?tenant=acme HTTP/1.1\r\n"),
        "{head}"
    );
    for line in [
        "content-type: application/x-www-form-urlencoded",
        concat!("user-agent: tokensmith/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.lines().any(|it| it == line), "{line}: {head}");
    }
    assert_eq!(body, "logout_token=eyJ.a-b_c.%26%3D%2B");
}

#[tokio::test]
async fn this_machine_is_called_only_where_that_is_allowed() {
    let mut receiver = Receiver::with_status("204 No Content").await;
    for host in ["127.0.0.1", "localhost"] {
        let url = receiver.url(host);
        let outcome = |reach: HttpLogoutReceivers| {
            let url = url.clone();
            async move { reach.deliver(&url, "a.b.c").await }
        };
        for forbidding in [receivers("", false), receivers("10.0.0.0/8", false)] {
            assert_eq!(
                outcome(forbidding).await,
                Err(DeliveryFailure::Forbidden),
                "{host}"
            );
        }
        assert_eq!(receiver.requests().len(), 0, "{host}");
        for allowing in [receivers("", true), receivers("127.0.0.0/8", false)] {
            assert_eq!(outcome(allowing).await, Ok(()), "{host}");
        }
        assert_eq!(receiver.requests().len(), 2, "{host}");
    }
}

#[tokio::test]
async fn an_address_inside_is_forbidden_however_it_is_written() {
    let forbidding = receivers("", false);
    for url in [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[fd00::1]/",
        "https://localhost/",
    ] {
        let outcome = forbidding.deliver(&url.parse().unwrap(), "a.b.c").await;
        assert_eq!(outcome, Err(DeliveryFailure::Forbidden), "{url}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 T", "308 P"] {
        let mut elsewhere = Receiver::with_status("200 OK").await;
        let place = elsewhere.url("127.0.0.1");
        let receiver = Receiver::answering(format!(
            "HTTP/1.1 {status}\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let text = failed(deliver_at_home(&receiver).await);
        assert!(text.contains("redirects (30"), "{text}");
        assert_eq!(elsewhere.requests().len(), 0, "{status}");
    }
}

#[tokio::test]
async fn what_the_receiver_does_not_want_is_told_from_what_may_pass() {
    for (status, refused) in [("400 Bad Request", 400), ("410 Gone", 410)] {
        let receiver = Receiver::with_status(status).await;
        let outcome = deliver_at_home(&receiver).await;
        assert_eq!(outcome, Err(DeliveryFailure::Refused(refused)));
    }
    for status in [
        "403 F", "404 N", "408 T", "429 T", "500 E", "503 U", "599 X",
    ] {
        let receiver = Receiver::with_status(status).await;
        let text = failed(deliver_at_home(&receiver).await);
        let number = &status[..3];
        assert_eq!(text, format!("the receiver answered with status {number}"));
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_not_waited_for() {
    let patience = Patience {
        whole: Duration::from_millis(50),
        connecting: Duration::from_millis(50),
    };
    let reach = Reach {
        loopback: true,
        ..Reach::default()
    };
    let receivers = HttpLogoutReceivers::with_patience(reach, patience).unwrap();
    // Connections wait in the backlog.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://127.0.0.1:{port}/").parse().unwrap();
        let text = failed(receivers.deliver(&url, "a.b.c").await);
        assert_eq!(text, "the receiver did not answer in time", "{scheme}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_not_read() {
    let endless = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nx").await;
    assert_eq!(deliver_at_home(&endless).await, Ok(()));
}

#[tokio::test]
async fn cookies_are_not_kept_and_connections_not_reused() {
    let mut receiver = Receiver::answering(
        "HTTP/1.1 200 OK\r\nset-cookie: a=b; Path=/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let receivers = receivers("", true);
    for _ in 0..2 {
        let url = receiver.url("127.0.0.1");
        // The server reads one request of a connection.
        assert_eq!(receivers.deliver(&url, "a.b.c").await, Ok(()));
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests.iter().all(|request| !request.contains("cookie")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn what_went_wrong_is_said_without_the_url() {
    let plain = Receiver::answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let port = plain.address.port();
    let tls = format!("https://127.0.0.1:{port}/logout?key=hunter2");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let closed = format!("http://127.0.0.1:{closed_port}/logout?key=hunter2");
    // No server is asked about a label of more than 63 characters (RFC 1035 §2.3.4).
    let nameless = format!("https://{}.example/logout?key=hunter2", "a".repeat(64));
    for url in [tls, closed, nameless] {
        let text = failed(
            receivers("", true)
                .deliver(&url.parse().unwrap(), "a.b.c")
                .await,
        );
        assert!(
            text.starts_with("cannot connect to the receiver: "),
            "{url}: {text}"
        );
        assert!(
            !text.contains("hunter2") && text.len() <= 200,
            "{url}: {text}"
        );
        assert!(!text.contains("error sending request"), "{url}: {text}");
    }
    let noise = Receiver::answering("SSH-2.0-OpenSSH_9.9\r\n").await;
    let text = failed(deliver_at_home(&noise).await);
    assert!(text.starts_with("the receiver gave no answer: "), "{text}");
}
