//! Checks that every candidate returns the right result from its cache.

use std::time::{Duration, SystemTime};

use meshconnect_auth_peers::candidates::{self, Kind};
use meshconnect_auth_peers::{OURS, TOKEN, hit, parse};

#[test]
fn candidates_return_the_header_from_their_cache() {
    let (runtime, other) = (hit::runtime(), hit::runtime());
    let expected = format!("Bearer {TOKEN}");
    let all = candidates::all(&runtime);
    assert!(all.iter().any(|candidate| candidate.name == OURS));
    for candidate in &all {
        let name = &candidate.name;
        let sends_requests = matches!(candidate.kind, Kind::Ours | Kind::Peer);
        let once = sends_requests.then_some(1);
        assert_eq!(candidate.requests(), once, "{name}, primed");
        for runtime in [&runtime, &other] {
            assert_eq!(candidate.header(runtime), expected, "{name}");
            candidate.round(runtime, 300);
            // A candidate that waits would not be comparable.
            assert_ne!(candidate.ready_at_once(runtime), Some(false), "{name}");
        }
        assert_eq!(candidate.requests(), once, "{name}, after its hits");
    }
}

#[test]
fn parsers_agree() {
    let exchange = parse::exchange();
    for case in parse::cases() {
        let name = case.name;
        let token = parse::ours(&exchange, parse::response(&case.body));
        // `exp` leaves half a minute less than `expires_in`.
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_003_600);
        assert_eq!(token.header_value(), &format!("Bearer {TOKEN}"), "{name}");
        assert_eq!(token.expires_at(), end, "{name}");
        let by_value = parse::by_value(parse::response(&case.body)).unwrap();
        assert_eq!(by_value, (token.header_value().clone(), end), "{name}");
        assert_eq!(parse::bare(&parse::response(&case.body)).1, 3600, "{name}");
        assert!(case.body.len() <= 64 * 1024, "{name}");
    }
}

#[test]
fn tables_have_a_row_for_each_candidate() {
    let (table, chart) = hit::measure(2, 100);
    println!("{table}");
    let candidates = candidates::all(&hit::runtime());
    assert_eq!(table.lines().count(), 2 + candidates.len());
    for candidate in &candidates {
        let name = candidate.name.replace('`', "").replace('<', "&lt;");
        assert!(chart.contains(&name), "{name}");
    }
    assert!(!chart.contains("NaN"));
    assert!(!table.contains("NaN"));
    let table = parse::table(2);
    println!("{table}");
    assert_eq!(table.lines().count(), 2 + 9);
    assert!(!table.contains("NaN"));
}
