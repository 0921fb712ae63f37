//! The published formulas against values that the Go monitor and Go itself computed.

use ics_core::id::ChainId;
use ics_core::key::Address;
use ics_core::peers::NodeId;
use ics_core::ports::Offset;
use ics_core::select::{Candidate, Share, select};

#[test]
fn ports_are_those_of_the_go_monitor() {
    let mut compared = 0;
    for line in ics_fixtures::vectors("ports.csv").lines().skip(1) {
        // The first column is free text: count from the right.
        let mut columns: Vec<_> = line.rsplitn(9, ',').collect();
        columns.reverse();
        let Some(columns) = columns.len().checked_sub(8).map(|from| &columns[from..]) else {
            continue;
        };
        let id = hex::decode(columns[0]).expect("hex");
        let id = String::from_utf8(id).expect("UTF-8");
        let Ok(id) = ChainId::new(id) else { continue };
        let ports = Offset::of(&id).ports();
        let found = [ports.p2p, ports.rpc, ports.grpc, ports.grpc_web, ports.rest];
        let found: Vec<_> = found.iter().map(u16::to_string).collect();
        assert_eq!(Offset::of(&id).to_string(), columns[2], "{id}");
        assert_eq!(found, columns[3..], "{id}");
        compared += 1;
    }
    assert!(compared > 50, "only {compared} vectors were compared");
}

#[test]
fn the_target_is_the_exact_integer() {
    let mut compared = 0;
    for line in ics_fixtures::vectors("threshold.csv").lines().skip(1) {
        let columns: Vec<_> = line.split(',').collect();
        let total: u128 = columns[0].parse().expect("a number");
        let exact: u128 = columns[3].parse().expect("a number");
        assert_eq!(Share::PUBLISHED.of(total), exact);
        let whole = Candidate {
            operator: Address::new([1; 20]).expect("20 bytes"),
            tokens: total,
        };
        assert_eq!(select(&[whole], Share::PUBLISHED).target, exact);
        compared += 1;
    }
    assert!(compared > 20, "only {compared} vectors were compared");
}

#[test]
fn weak_node_ids_are_those_of_the_go_monitor() {
    let mut compared = 0;
    for line in ics_fixtures::vectors("node_keys.csv").lines().skip(1) {
        let columns: Vec<_> = line.split(',').collect();
        // The chain refuses an empty chain id, which Go derives from as well.
        let Ok(chain_id) = ChainId::new(columns[1]) else {
            continue;
        };
        let found = NodeId::weak(columns[0], &chain_id);
        assert_eq!(found.to_string(), columns[2], "{line}");
        compared += 1;
    }
    assert_eq!(compared, 24);
}

#[test]
fn those_selected_are_those_of_another_implementation() {
    let mut compared = 0;
    for line in ics_fixtures::vectors("selection.csv").lines().skip(1) {
        let columns: Vec<_> = line.split(',').collect();
        let share = Share::parse(columns[0]).expect("a share");
        let operator = |byte: u8| Address::new([byte; 20]).expect("20 bytes");
        let tokens = columns[1].split(' ').map(|n| n.parse().expect("a number"));
        let candidates: Vec<_> = (0..)
            .zip(tokens)
            .map(|(byte, tokens)| Candidate {
                operator: operator(byte),
                tokens,
            })
            .collect();
        let taken = columns[3].split_terminator(' ');
        let taken: Vec<_> = taken
            .map(|n| operator(n.parse().expect("a byte")))
            .collect();
        let found = select(&candidates, share);
        assert_eq!(found.target.to_string(), columns[2], "{line}");
        assert_eq!(found.selected, taken, "{line}");
        compared += 1;
    }
    assert!(compared > 60, "only {compared} vectors were compared");
}
