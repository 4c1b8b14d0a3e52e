//! The server on real sockets.

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::*;

const LIMITS: Limits =
    Limits { connections: 16, header: Duration::from_millis(300), body: Duration::from_millis(300) };
/// Within these nothing is cut off.
const PATIENT: Limits =
    Limits { connections: 4, header: Duration::from_secs(60), body: Duration::from_secs(60) };
/// Far beyond anything waited for here.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// A request to `/slow` has begun.
    began: Arc<Semaphore>,
    /// Lets one request to `/slow` end.
    may_end: Arc<Semaphore>,
}

#[expect(clippy::disallowed_methods, reason = "a router of the test's own")]
async fn start(limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running {
        address: listener.local_addr().unwrap(),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
        began: Arc::new(Semaphore::new(0)),
        may_end: Arc::new(Semaphore::new(0)),
    };
    let (began, may_end) = (running.began.clone(), running.may_end.clone());
    let slow = async move || {
        began.add_permits(1);
        may_end.acquire().await.unwrap().forget();
        "done"
    };
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/slow", get(slow))
        .route("/echo", post(async |body: String| body));
    let stop = running.stop.clone();
    running.tasks.spawn(async move { serve(listener, router, limits, &stop).await });
    running
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// What comes until the other end closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is a close too.
    let _read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("closed in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_request_is_answered_and_the_connection_kept() {
    let running = start(LIMITS).await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let answers = rest(&mut stream).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

#[tokio::test]
async fn silence_dripping_and_idling_are_cut_off_at_the_deadline() {
    let running = start(LIMITS).await;
    let began = Instant::now();
    let mut silent = running.connect().await;
    let mut idle = running.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let dripping = running.connect().await;
    let (mut reader, mut writer) = dripping.into_split();
    let tasks = TaskTracker::new();
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while writer.write_all(b"x").await.is_ok() {
            ticks.tick().await;
        }
    });
    let mut bytes = Vec::new();
    let _read = timeout(PATIENCE, reader.read_to_end(&mut bytes)).await.expect("dripping is closed");
    rest(&mut silent).await;
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200 OK"));
    assert!(began.elapsed() >= LIMITS.header && began.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_running_request_is_answered_after_stop_and_no_other_begins() {
    let running = start(LIMITS).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    running.began.acquire().await.unwrap().forget();
    running.stop.cancel();
    running.may_end.add_permits(1);
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
    running.tasks.close();
    timeout(PATIENCE, running.tasks.wait()).await.expect("the server ends");
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let running = start(Limits { connections: 1, ..PATIENT }).await;
    let mut first = running.connect().await;
    first.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    running.began.acquire().await.unwrap().forget();
    let mut second = running.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_millis(200), second.read(&mut byte)).await;
    assert!(early.is_err(), "the second was served beside the first");
    drop(first);
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 200 OK"));
}

/// The story: whoever opened connections and said nothing kept everybody out for as long as a header may take.
#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let running = start(PATIENT).await;
    let mut slow = running.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    running.began.acquire().await.unwrap().forget();
    let mut silent = Vec::new();
    for number in 0..16 {
        let mut stream = running.connect().await;
        // Some say nothing, some half of something, some have been answered.
        let said = ["", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"][number % 3];
        stream.write_all(said.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let began = Instant::now();
    for _ in 0..3 {
        let mut stream = running.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // What is under way is not disturbed.
    running.may_end.add_permits(1);
    let mut byte = [0; 15];
    timeout(PATIENCE, slow.read_exact(&mut byte)).await.expect("an answer").unwrap();
    assert_eq!(&byte, b"HTTP/1.1 200 OK");
    drop(silent);
}

/// A request whose body is begun and not sent.
const HALF: &[u8] = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx";

/// The story: a hundred bodies of which one byte came kept everybody out for half a minute.
#[tokio::test]
async fn bodies_that_are_begun_and_not_sent_keep_nobody_out() {
    let running = start(PATIENT).await;
    let mut slow = running.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    running.began.acquire().await.unwrap().forget();
    let mut half = Vec::new();
    for _ in 0..16 {
        let mut stream = running.connect().await;
        stream.write_all(HALF).await.unwrap();
        half.push(stream);
    }
    let began = Instant::now();
    for _ in 0..3 {
        let mut stream = running.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    running.may_end.add_permits(1);
    let mut byte = [0; 15];
    timeout(PATIENCE, slow.read_exact(&mut byte)).await.expect("an answer").unwrap();
    assert_eq!(&byte, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_body_that_stops_is_given_up_and_one_that_goes_on_is_not() {
    let running = start(Limits { header: Duration::from_secs(60), ..LIMITS }).await;
    let mut silent = running.connect().await;
    silent.write_all(HALF).await.unwrap();
    let (mut reader, mut writer) = running.connect().await.into_split();
    let tasks = TaskTracker::new();
    // Longer than the deadline in all, with less than it between any two bytes.
    let sending = tasks.spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        writer.write_all(HALF).await.unwrap();
        for _ in 1..100 {
            ticks.tick().await;
            writer.write_all(b"x").await.unwrap();
        }
        writer
    });
    let began = Instant::now();
    let answer = rest(&mut silent).await;
    assert!(answer.starts_with("HTTP/1.1 4") && began.elapsed() < PATIENCE, "{answer}");
    let mut answer = [0; 15];
    timeout(PATIENCE, reader.read_exact(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn nonsense_is_refused_and_disturbs_nobody() {
    let running = start(LIMITS).await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70 << 10));
    let wide = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(5000));
    for nonsense in [
        "\0\0\0\0",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /\r\n bad\r\n\r\n",
        "GET / HTTP/1.1\r\nx: \0\r\n\r\n",
        &long,
        &wide,
    ] {
        let mut stream = running.connect().await;
        let _refused_early = stream.write_all(nonsense.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(!answer.contains(" 200 "), "{:?}: {answer}", &nonsense[..4]);
    }
    let mut stream = running.connect().await;
    let smuggled = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(smuggled.as_bytes()).await.unwrap();
    assert_eq!(rest(&mut stream).await.matches(" 200 OK").count(), 2);
}
