//! The budget: who gets a permit, what may be lent, and what goes back.

use super::*;

#[test]
fn no_more_permits_than_the_total_are_ever_out() {
    let budget = Budget::new(6, 2);
    let mut out = vec![budget.acquire(Claim::Control)];
    for _ in 0..10 {
        out.push(budget.acquire(Claim::Worker(0)));
    }
    assert_eq!(out.iter().flatten().count(), 4, "control and three");
    assert!(budget.acquire(Claim::Worker(1)).is_some(), "its own place");
    out.push(budget.acquire(Claim::Worker(1)));
    assert_eq!((budget.held(), budget.total()), (5, 6));
    assert!(budget.acquire(Claim::Worker(1)).is_none());
    out.push(budget.acquire(Claim::Reserve));
    assert_eq!((budget.held(), budget.total()), (6, 6));
    assert!(budget.acquire(Claim::Reserve).is_none(), "there is one");
    out.clear();
    assert_eq!(budget.held(), 0);
}

#[test]
fn of_few_places_none_is_kept_back() {
    for (total, workers) in [(3, 1), (2, 1), (4, 3)] {
        let budget = Budget::new(total, workers);
        assert!(!budget.keeps_one_back() && budget.acquire(Claim::Reserve).is_none());
    }
    assert!(Budget::new(4, 1).acquire(Claim::Reserve).is_some());
}

#[test]
fn every_worker_always_finds_its_first_permit() {
    let budget = Budget::new(4, 3);
    let first = budget.acquire(Claim::Worker(0));
    assert!(first.is_some());
    assert!(budget.acquire(Claim::Worker(0)).is_none());
    assert!(budget.acquire(Claim::Worker(1)).is_some());
    assert!(budget.acquire(Claim::Worker(2)).is_some());
    assert!(budget.acquire(Claim::Worker(3)).is_none(), "no such worker");
}

#[test]
fn a_total_too_small_is_raised_and_the_workers_it_can_serve_are_told() {
    assert_eq!(Budget::new(1, 2).total(), 3);
    assert_eq!(Budget::workers_max(3), 2);
    assert_eq!(Budget::workers_max(0), 0);
}

#[test]
fn a_worker_finds_a_permit_beside_all_that_are_lent() {
    let budget = Budget::new(7, 2);
    let mut out: Vec<_> = (0..3).map(|_| budget.acquire(Claim::Worker(0))).collect();
    assert!(budget.lend(0, Term::Waiting), "others are left");
    assert!(budget.lend(0, Term::Waiting), "another one is left");
    assert!(
        !budget.lend(0, Term::Waiting),
        "what is left is for what ends"
    );
    out.push(budget.acquire(Claim::Worker(0)));
    assert!(out[3].is_some(), "it is there");
    out.push(budget.acquire(Claim::Control));
    out.push(budget.acquire(Claim::Worker(1)));
    assert_eq!((budget.held(), out.iter().flatten().count()), (6, 6));
    assert!(budget.acquire(Claim::Worker(1)).is_none() && !budget.lend(1, Term::Waiting));
    budget.lent_no_more(0, Term::Waiting);
    assert!(budget.lend(0, Term::Waiting));
}

#[test]
fn those_who_listen_leave_a_place_to_those_who_wait_and_both_leave_one_to_what_ends() {
    for (total, workers, lasting, in_all) in [
        (16, 1, 11, 12),
        (16, 2, 10, 11),
        (8, 1, 3, 4),
        (6, 1, 1, 2),
        // Of two places one is lent, of one that one: nothing else would ever be lent.
        (5, 1, 1, 1),
        (4, 1, 1, 1),
        (3, 1, 1, 1),
        (2, 1, 0, 0),
    ] {
        let budget = Budget::new(total, workers);
        let out: Vec<_> = (0..total)
            .map(|_| budget.acquire(Claim::Worker(0)))
            .collect();
        let lent = |term| (0..total).filter(|_| budget.lend(0, term)).count() as u32;
        assert_eq!(lent(Term::Lasting), lasting, "{total} of {workers}");
        assert_eq!(
            lent(Term::Waiting) + lasting,
            in_all,
            "{total} of {workers}"
        );
        assert_eq!(budget.lendable(Term::Lasting), lasting);
        assert_eq!(budget.lendable(Term::Waiting), in_all);
        drop(out);
    }
}

#[test]
fn the_place_for_what_ends_is_one_that_can_be_had_beside_the_servers_own_limit() {
    let budget = Budget::new(16, 1);
    budget.limit_growth(5);
    let out: Vec<_> = (0..16).map(|_| budget.acquire(Claim::Worker(0))).collect();
    assert_eq!(out.iter().flatten().count(), 5);
    let lent = (0..16).filter(|_| budget.lend(0, Term::Waiting)).count();
    assert_eq!(lent, 3, "one for everybody, one for what ends");
}

#[test]
fn what_is_lent_changes_its_term_where_there_is_room_for_that() {
    let budget = Budget::new(8, 1);
    let _out: Vec<_> = (0..8).map(|_| budget.acquire(Claim::Worker(0))).collect();
    for _ in 0..3 {
        assert!(budget.lend(0, Term::Lasting));
    }
    assert!(budget.lend(0, Term::Waiting));
    assert!(!budget.lend_on(0, Term::Waiting, Term::Lasting));
    assert!(!budget.lend(0, Term::Waiting), "it is still lent");
    assert!(budget.lend_on(0, Term::Lasting, Term::Waiting));
    assert!(!budget.lend(0, Term::Waiting));
    assert!(budget.lend_on(0, Term::Waiting, Term::Lasting));
}

#[test]
fn stopped_growth_leaves_the_first_permit_alone() {
    let budget = Budget::new(10, 1);
    budget.stop_growth(true);
    let first = budget.acquire(Claim::Worker(0));
    assert!(first.is_some());
    assert!(budget.acquire(Claim::Worker(0)).is_none());
    budget.stop_growth(false);
    assert!(budget.acquire(Claim::Worker(0)).is_some());
}

#[test]
fn growth_ends_at_the_ceiling_and_every_first_permit_is_beyond_it() {
    let budget = Budget::new(10, 2);
    budget.limit_growth(2);
    let out = [(); 3].map(|()| budget.acquire(Claim::Worker(0)));
    assert_eq!(out.iter().flatten().count(), 2);
    assert!(budget.acquire(Claim::Worker(1)).is_some());
    budget.limit_growth(4);
    assert!(budget.acquire(Claim::Worker(0)).is_some());
}

#[test]
fn a_lower_bound_takes_nothing_away_and_gives_nothing_more() {
    let budget = Budget::new(7, 2);
    let mut out: Vec<_> = (0..4).map(|_| budget.acquire(Claim::Worker(0))).collect();
    assert!(out.iter().all(Option::is_some) && !budget.is_exceeded());
    assert_eq!(budget.resize(1), 3, "control and one each");
    assert_eq!((budget.held(), budget.total()), (4, 3));
    assert!(budget.is_exceeded() && budget.acquire(Claim::Worker(0)).is_none());
    let first = budget.acquire(Claim::Worker(1));
    assert!(first.is_some(), "within the old bound");
    assert_eq!(budget.surplus(0), 3);
    out.truncate(1);
    assert!(!budget.is_exceeded() && budget.acquire(Claim::Worker(0)).is_none());
    assert_eq!(budget.resize(5), 5);
    assert!(budget.acquire(Claim::Worker(0)).is_some());
}

#[test]
fn surplus_is_what_lies_beyond_an_even_share() {
    let budget = Budget::new(10, 2);
    let out: Vec<_> = (0..6).map(|_| budget.acquire(Claim::Worker(0))).collect();
    assert_eq!(budget.surplus(0), 2);
    assert_eq!(budget.surplus(1), 0);
    // Of eight that workers have five are lent, and one is each worker's.
    let more = [0, 1].map(|worker| budget.acquire(Claim::Worker(worker)));
    assert!(more.iter().all(Option::is_some));
    assert!((0..5).all(|_| budget.lend(0, Term::Waiting)));
    assert_eq!((budget.surplus(0), budget.surplus(1)), (1, 0));
    drop(out);
    budget.count_waiter(true);
    assert!(budget.has_waiters());
    budget.count_waiter(false);
    assert!(!budget.has_waiters());
}
