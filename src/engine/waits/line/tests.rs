//! Whose turn it is in the line for places to wait.

use slotmap::SlotMap;

use super::*;
use crate::session::waiting::Waiting;

struct Scene {
    line: Line,
    keys: SlotMap<ClientId, ()>,
    users: [CredentialId; 2],
    now: Duration,
}

impl Scene {
    fn new() -> Self {
        Self {
            line: Line::default(),
            keys: SlotMap::with_key(),
            users: [CredentialId::ANONYMOUS, CredentialId::default()],
            now: Duration::from_secs(1),
        }
    }

    fn joins(&mut self, user: usize, lists: &str) -> ClientId {
        let args: Vec<&[u8]> = lists.split(' ').map(str::as_bytes).collect();
        let args = [&[&b"BLPOP"[..]], &args[..], &[b"9"]].concat();
        let mut request = Vec::new();
        crate::resp::write::request(&mut request, &args);
        let on = Waiting::of("blpop", &request).unwrap().on;
        let spots = Spot::all_of(0, on, &request);
        let id = self.keys.insert(());
        let until = Some(self.now + Duration::from_secs(9));
        let number = self.line.arrivals;
        let user = self.users[user];
        let one = InLine::new(number, user, spots, self.now, until, Void::Nil, true);
        self.line.join(id, one, self.now);
        id
    }
}

#[test]
fn of_those_that_wait_on_a_key_the_first_is_a_candidate_and_the_next_one_follows() {
    let mut scene = Scene::new();
    let (first, second) = (scene.joins(0, "a"), scene.joins(0, "b a"));
    let third = scene.joins(0, "a");
    let candidates = |scene: &Scene| [first, second, third].map(|id| scene.line.is_candidate(id));
    assert_eq!(candidates(&scene), [true, true, false]);
    assert_eq!(scene.line.leads(second), [true, false]);
    assert_eq!(scene.line.before(third).collect::<Vec<_>>(), [first]);
    scene.line.leave(first, Some(scene.now));
    assert_eq!(scene.line.leads(second), [true, true]);
    assert_eq!(scene.line.due(scene.now), Some(second));
    scene.line.leave(second, None);
    assert_eq!(candidates(&scene), [false, false, true]);
}

#[test]
fn whoever_comes_has_the_one_before_it_looked_at_and_not_too_often() {
    let mut scene = Scene::new();
    let first = scene.joins(0, "a");
    scene.line.begins_try(first, scene.now);
    scene.line.try_later(first, scene.now);
    assert_eq!(scene.line.next(), Some(scene.now + PERIOD));
    scene.joins(0, "a");
    assert_eq!(scene.line.next(), Some(scene.now + APART));
}

#[test]
fn users_take_turns_for_places() {
    let mut scene = Scene::new();
    let crowd: Vec<ClientId> = (0..5).map(|_| scene.joins(0, "a")).collect();
    let other = scene.joins(1, "a");
    assert_eq!(scene.line.next_in_turns(3), [crowd[0], other, crowd[1]]);
    let behind = |scene: &Scene, id| scene.line.is_behind_its_like(id);
    assert!(!behind(&scene, crowd[0]) && behind(&scene, crowd[1]) && !behind(&scene, other));
    scene.line.had_its_turn(crowd[0]);
    scene.line.leave(crowd[0], None);
    assert_eq!(scene.line.next_in_turns(1), [other]);
    // Once they are the same one's, who has come first is first.
    scene.line.becomes(other, scene.users[0]);
    assert_eq!(scene.line.next_in_turns(1), [crowd[1]]);
    assert!(behind(&scene, other));
    for id in crowd.into_iter().chain([other]) {
        scene.line.leave(id, None);
    }
    let line = &scene.line;
    assert!(line.is_empty() && line.in_order.is_empty() && line.by_user.is_empty());
    assert!(line.by_spot.is_empty() && line.of_user_by_spot.is_empty());
    assert!(line.due.is_empty() && line.by_number.is_empty());
    assert_eq!(line.planned, 0);
}

#[test]
fn what_falls_due_during_a_try_is_due_when_that_is_over() {
    let mut scene = Scene::new();
    let first = scene.joins(0, "a");
    scene.line.begins_try(first, scene.now);
    scene.joins(0, "a");
    let later = scene.now + APART;
    assert_eq!(scene.line.due(later), Some(first));
    scene.line.is_decided_by_its_try(first);
    assert_eq!(scene.line.due(later), None);
    scene.line.try_later(first, later);
    assert_eq!(scene.line.due(later), Some(first));
}
