//! Connections cut at random points while a program floods and a client types: nothing is lost, nothing doubled.

use std::time::Duration;

use devpocket_tests::Random;
use devpocket_tests::client::{Durable, DurableOptions, Framing, Hasher};
use devpocket_tests::flood::{Flood, Typist};
use devpocket_tests::proxy::{Plan, Proxy};
use devpocket_tests::stack::{LinkKind, Options, Stack};

/// Generous: 300 cuts take some seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_cut_connections_lose_and_double_nothing() {
    cut_connections("cuts", LinkKind::Unix, Framing::Binary, 300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_cut_connections_lose_and_double_nothing_in_json_over_quic() {
    cut_connections("cuts in json over quic", LinkKind::Quic, Framing::Json, 300).await;
}

async fn cut_connections(name: &str, link: LinkKind, framing: Framing, cuts: u64) {
    let mut random = Random::for_scenario(name);
    let stack = Stack::start_with(Options { link, apis: 2, ..Options::default() }).await;
    let flood = Flood::open(&stack, &stack.opening(0, framing), "flood").await;
    let mut proxies = Vec::new();
    for api in 0..2 {
        let mut chance = random.split();
        proxies.push(Proxy::start(stack.address(api), move || Plan::random(&mut chance)).await);
    }
    let openings = proxies.iter().map(|proxy| stack.opening_at(proxy.address, framing)).collect();
    let options = DurableOptions { seed: random.number(), ..DurableOptions::lossless(openings) };
    let mut client = Durable::attaching(options, flood.session, Hasher::default());
    let mut typist = Typist::default();

    typist.say(&mut client, "go");
    let cut = client.drive("enough connections are cut", LIMIT, |client| {
        typist.type_pieces(client, &mut random);
        proxies.iter().map(Proxy::cuts).sum::<u64>() >= cuts
    });
    cut.await.unwrap_or_else(|violation| panic!("{violation}"));
    assert!(client.counts.lost > cuts / 3, "most cuts hit an attached client: {:?}", client.counts);
    assert!(client.received() > cuts * 1000, "the flood went on between the cuts: {:?}", client.counts);

    client.set_openings(vec![stack.opening(0, framing)]);
    client.lose_connection();
    flood.prove(&mut client, &mut typist).await;
    assert_eq!(client.uncertain, [0_u64; 0], "nothing is uncertain where no daemon was killed");
    eprintln!("{name}: {} bytes, {} lines typed, {:?}", client.received(), typist.lines(), client.counts);
}
