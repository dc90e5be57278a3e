use super::*;
use crate::tts::{Class, Gender, Voice};

fn choice() -> Choice {
    let voice = Voice {
        name: "v".into(),
        title: "V".into(),
        language: "en".into(),
        gender: Gender::Unknown,
        model: "m".into(),
        loudness_lufs: None,
    };
    Choice {
        id: "a:v".into(),
        voice,
        speed: 1.0,
        class: Class::RealTime,
    }
}

fn sessions(most: usize) -> Arc<Sessions> {
    Arc::new(Sessions::new(most, Clock::start()))
}

/// Opens a session by this connection.
fn open(
    sessions: &Arc<Sessions>,
    id: &str,
    peer: Option<&Peer>,
    now: Duration,
) -> Result<(), Full> {
    let place = sessions.keep_place(id, now)?;
    place.open(choice(), None, peer.cloned(), now);
    Ok(())
}

/// Something that is being said.
fn begin(sessions: &Arc<Sessions>, id: &str, now: Duration) -> Live {
    sessions.begin(id, None, now).ok().unwrap().live
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_full_worker_gives_away_only_what_was_forgotten() {
    let sessions = sessions(1);
    open(&sessions, "one", None, Duration::ZERO).unwrap();
    let later = FORGOTTEN - SECOND;
    assert_eq!(open(&sessions, "two", None, later), Err(Full(1)));
    let live = begin(&sessions, "one", Duration::ZERO);
    assert_eq!(open(&sessions, "two", None, FORGOTTEN), Err(Full(1)));
    let mut live = live;
    live.told();
    drop(live);
    // It was used until now, by the clock that the test does not hold.
    let later = FORGOTTEN * 2;
    assert_eq!(open(&sessions, "two", None, FORGOTTEN), Err(Full(1)));
    assert_eq!(sessions.taken(later), 0);
    assert_eq!(open(&sessions, "two", None, later), Ok(()));
    assert_eq!(sessions.taken(later), 1);
    assert!(!sessions.end("one"));
}

#[test]
fn a_session_whose_client_has_gone_is_forgotten_soon_unless_it_comes_back() {
    let sessions = sessions(1);
    let peer = Peer::default();
    open(&sessions, "one", Some(&peer), Duration::ZERO).unwrap();
    assert_eq!(sessions.taken(LEFT * 3), 1, "its client is only quiet");
    peer.goes();
    let gone = LEFT * 3;
    assert_eq!(sessions.taken(gone), 1);
    assert_eq!(sessions.taken(gone + LEFT - SECOND), 1);
    assert_eq!(sessions.taken(gone + LEFT), 0);
    // Nobody has wanted its place yet: it comes back, by another connection.
    let mut live = sessions
        .begin("one", Some(Peer::default()), gone + LEFT)
        .ok()
        .unwrap()
        .live;
    live.told();
    drop(live);
    assert_eq!(sessions.taken(gone + LEFT * 3), 1);
}

#[test]
fn who_breaks_off_what_is_said_and_does_nothing_more_has_gone() {
    let sessions = sessions(1);
    open(&sessions, "one", None, Duration::ZERO).unwrap();
    drop(begin(&sessions, "one", Duration::ZERO));
    assert_eq!(sessions.taken(LEFT - SECOND), 1);
    assert_eq!(sessions.taken(LEFT + SECOND), 0);
    // A command is a sign of life.
    assert!(sessions.steer("one", Flow::Held));
    assert_eq!(sessions.taken(LEFT + SECOND), 1);
    // And so is the end of what it wanted to hear.
    drop(begin(&sessions, "one", Duration::ZERO));
    let mut live = begin(&sessions, "one", Duration::ZERO);
    live.told();
    drop(live);
    assert_eq!(sessions.taken(LEFT + SECOND), 1);
}

#[test]
fn a_place_is_kept_while_a_model_is_on_its_way() {
    let sessions = sessions(2);
    open(&sessions, "one", None, Duration::ZERO).unwrap();
    let again = sessions.keep_place("one", Duration::ZERO).unwrap();
    let two = sessions.keep_place("two", Duration::ZERO).unwrap();
    assert_eq!(sessions.taken(Duration::ZERO), 2);
    let refused = sessions.keep_place("three", Duration::ZERO).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "the worker is full: 2 of 2 sessions are open; end one or try again later"
    );
    // Its model could not be loaded, or its client has gone meanwhile.
    drop(two);
    assert_eq!(open(&sessions, "three", None, Duration::ZERO), Ok(()));
    // The place of one that is opened anew stays its own, even when it was ended meanwhile.
    assert!(sessions.end("one"));
    assert_eq!(open(&sessions, "four", None, Duration::ZERO), Err(Full(2)));
    again.open(choice(), None, None, Duration::ZERO);
    assert_eq!(sessions.taken(Duration::ZERO), 2);
    assert!(sessions.end("one"));
    assert_eq!(open(&sessions, "four", None, Duration::ZERO), Ok(()));
}

#[test]
fn a_session_between_two_things_to_say_is_not_idle_and_a_forgotten_one_is() {
    let sessions = sessions(2);
    assert!(sessions.are_idle(Duration::ZERO));
    open(&sessions, "one", None, Duration::ZERO).unwrap();
    assert!(!sessions.are_idle(Duration::ZERO));
    assert!(sessions.are_idle(BETWEEN));
    let live = begin(&sessions, "one", BETWEEN);
    assert!(!sessions.are_idle(BETWEEN * 100));
    drop(live);
    assert!(sessions.are_idle(BETWEEN * 100));
}

#[test]
fn a_pause_is_not_remembered_and_a_stop_cannot_be_undone() {
    let sessions = sessions(1);
    open(&sessions, "one", None, Duration::ZERO).unwrap();
    assert!(sessions.steer("one", Flow::Held));
    let live = begin(&sessions, "one", Duration::ZERO);
    assert_eq!(*live.flow.borrow(), Flow::Speaking);
    sessions.steer("one", Flow::Stopped);
    sessions.steer("one", Flow::Speaking);
    assert_eq!(*live.flow.borrow(), Flow::Stopped);
    assert!(!sessions.steer("two", Flow::Held));
}

#[test]
fn what_was_stopped_takes_no_place_in_its_session() {
    let sessions = sessions(1);
    open(&sessions, "one", None, Duration::ZERO).unwrap();
    let begin = || sessions.begin("one", None, Duration::ZERO);
    let live: Vec<Begun> = (0..LIVE_A_SESSION).filter_map(|_| begin().ok()).collect();
    assert_eq!(live.len(), LIVE_A_SESSION);
    assert_eq!(begin().err(), Some(NoBegin::TooMany));
    sessions.steer("one", Flow::Stopped);
    // None of them has taken notice yet.
    assert!(begin().is_ok());
    drop(live);
}

#[test]
fn ending_a_session_ends_what_it_says() {
    let sessions = sessions(1);
    open(&sessions, "one", None, Duration::ZERO).unwrap();
    let live = begin(&sessions, "one", Duration::ZERO);
    assert!(sessions.end("one"));
    assert!(!sessions.end("one"));
    assert_eq!(*live.flow.borrow(), Flow::Stopped);
    let begun = sessions.begin("one", None, Duration::ZERO);
    assert_eq!(begun.err(), Some(NoBegin::Unknown));
}
