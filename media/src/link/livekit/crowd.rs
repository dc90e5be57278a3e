//! Who is in the room, and whose sound is wanted. No IO.

use super::{LEVELS, LISTEN_ONLY, Role};
use crate::link::{Person, Speaker};
use livekit_protocol::participant_info::{Kind, State};
use livekit_protocol::{AudioTrackFeature, ParticipantInfo, TrackInfo, TrackSource, TrackType};
use std::collections::BTreeMap;

/// People known at a time. Beyond it nobody new is: a room of this size is a webinar, and hearing it is not our business.
const PEOPLE: usize = 256;

/// What a change in the room means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Somebody is there, or is called otherwise.
    Joined(Speaker, Person),
    /// Somebody is not there any more, or is not to be heard any more.
    Left(Speaker),
    /// A track's sound is wanted from now on. With `recorded`, what was said before comes as a byte stream.
    Wanted {
        /// LiveKit's name for the track.
        track: String,
        /// Whose it is.
        speaker: Speaker,
        /// Whether a recording of what was said before is on its way.
        recorded: bool,
    },
    /// A track's sound is gone or is not wanted any more.
    Unwanted(String),
}

/// One of the people.
#[derive(Debug)]
struct Member {
    speaker: Speaker,
    sid: String,
    person: Person,
    is_listener: bool,
    wants_levels: bool,
    /// The tracks whose sound is wanted.
    tracks: Vec<String>,
    /// Left by a broken connection; may come back under the same identity.
    is_away: bool,
}

/// The people of the room, by identity. An identity keeps its number when it comes back.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    role: Role,
    members: BTreeMap<String, Member>,
    next: u32,
}

impl Crowd {
    /// Nobody is known yet.
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            ..Self::default()
        }
    }

    /// Takes what the server says of a participant other than ourselves.
    pub(super) fn update(&mut self, info: &ParticipantInfo) -> Vec<Change> {
        // Other agents and recorders talk to people, not to us.
        let is_person = match info.kind() {
            Kind::Standard | Kind::Sip | Kind::Ingress | Kind::Connector | Kind::Bridge => true,
            Kind::Agent => self.role != Role::Agent,
            Kind::Egress => false,
        };
        if !is_person || info.identity.is_empty() {
            return Vec::new();
        }
        if info.state() == State::Disconnected {
            return self.leave(info);
        }
        let mut changes = Vec::new();
        let Some(member) = self.member(info, &mut changes) else {
            return changes;
        };
        let is_true = |key| {
            info.attributes
                .get(key)
                .is_some_and(|value| value == "true")
        };
        member.wants_levels = is_true(LEVELS);
        let is_listener = is_true(LISTEN_ONLY);
        if is_listener != member.is_listener {
            member.is_listener = is_listener;
            if is_listener {
                changes.extend(member.tracks.drain(..).map(Change::Unwanted));
                changes.push(Change::Left(member.speaker));
            } else {
                changes.push(Change::Joined(member.speaker, member.person.clone()));
            }
        }
        let wanted: Vec<&TrackInfo> = match is_listener {
            true => Vec::new(),
            false => info.tracks.iter().filter(|track| is_voice(track)).collect(),
        };
        member.tracks.retain(|sid| {
            let is_there = wanted.iter().any(|track| track.sid == *sid);
            if !is_there {
                changes.push(Change::Unwanted(sid.clone()));
            }
            is_there
        });
        for track in wanted {
            if !member.tracks.contains(&track.sid) {
                member.tracks.push(track.sid.clone());
                let recorded = AudioTrackFeature::TfPreconnectBuffer as i32;
                changes.push(Change::Wanted {
                    track: track.sid.clone(),
                    speaker: member.speaker,
                    recorded: track.audio_features.contains(&recorded),
                });
            }
        }
        changes
    }

    fn member(&mut self, info: &ParticipantInfo, changes: &mut Vec<Change>) -> Option<&mut Member> {
        let person = Person {
            identity: info.identity.clone(),
            name: info.name.clone(),
        };
        if !self.members.contains_key(&info.identity) {
            if self.members.len() >= PEOPLE {
                self.forget_one()?;
            }
            // 0 is the only caller of other links.
            self.next += 1;
            let member = Member {
                speaker: Speaker(self.next),
                sid: String::new(),
                person: person.clone(),
                is_listener: false,
                wants_levels: false,
                tracks: Vec::new(),
                is_away: true,
            };
            self.members.insert(info.identity.clone(), member);
        }
        let member = self.members.get_mut(&info.identity)?;
        if member.sid != info.sid {
            // The same identity, come anew: the tracks of before are gone.
            changes.extend(member.tracks.drain(..).map(Change::Unwanted));
            member.sid = info.sid.clone();
        }
        if member.is_away || member.person != person {
            member.is_away = false;
            member.person = person.clone();
            if !member.is_listener {
                changes.push(Change::Joined(member.speaker, person));
            }
        }
        Some(member)
    }

    /// Makes room by forgetting somebody who is not there.
    fn forget_one(&mut self) -> Option<()> {
        let away = self.members.iter().find(|(_, member)| member.is_away);
        let identity = away.map(|(identity, _)| identity.clone())?;
        self.members.remove(&identity);
        Some(())
    }

    fn leave(&mut self, info: &ParticipantInfo) -> Vec<Change> {
        let Some(member) = self.members.get_mut(&info.identity) else {
            return Vec::new();
        };
        // The server may tell of an earlier stay's end when the next has begun.
        if member.sid != info.sid || member.is_away {
            return Vec::new();
        }
        member.is_away = true;
        let mut changes: Vec<_> = member.tracks.drain(..).map(Change::Unwanted).collect();
        if !member.is_listener {
            changes.push(Change::Left(member.speaker));
        }
        changes
    }

    /// The tracks of before a full rejoin are gone, and whoever is not among `present` has left.
    pub(super) fn rejoined(&mut self, present: &[ParticipantInfo]) -> Vec<Change> {
        let members = self.members.values_mut();
        let tracks = members.flat_map(|member| member.tracks.drain(..));
        let mut changes: Vec<_> = tracks.map(Change::Unwanted).collect();
        changes.extend(self.resumed(present));
        changes
    }

    /// How many people are there.
    pub(super) fn present(&self) -> usize {
        self.members
            .values()
            .filter(|member| !member.is_away)
            .count()
    }

    /// Who it is that has this identity, if they may be heard.
    pub(super) fn speaker(&self, identity: &str) -> Option<Speaker> {
        let member = self.members.get(identity)?;
        (!member.is_listener).then_some(member.speaker)
    }

    /// Whether the server has told of this identity.
    pub(super) fn knows(&self, identity: &str) -> bool {
        self.members.contains_key(identity)
    }

    /// The identity and the first voice track of a speaker.
    pub(super) fn source(&self, speaker: Speaker) -> Option<(&str, Option<&str>)> {
        let (identity, member) = self
            .members
            .iter()
            .find(|(_, member)| member.speaker == speaker)?;
        Some((identity, member.tracks.first().map(String::as_str)))
    }

    /// The identity of a speaker who wants to know how loud they are.
    pub(super) fn wants_levels(&self, speaker: Speaker) -> Option<&str> {
        let mut members = self.members.iter();
        let (identity, member) = members.find(|(_, member)| member.speaker == speaker)?;
        member.wants_levels.then_some(identity)
    }

    /// A track whose sound cannot be had now.
    pub(super) fn forget_track(&mut self, sid: &str) {
        for member in self.members.values_mut() {
            member.tracks.retain(|track| track != sid);
        }
    }

    /// After a resume: whoever is not among `present` has left meanwhile.
    pub(super) fn resumed(&mut self, present: &[ParticipantInfo]) -> Vec<Change> {
        let mut changes = Vec::new();
        for (identity, member) in &mut self.members {
            let is_present = present.iter().any(|info| info.identity == *identity);
            if !is_present && !member.is_away {
                member.is_away = true;
                changes.extend(member.tracks.drain(..).map(Change::Unwanted));
                if !member.is_listener {
                    changes.push(Change::Left(member.speaker));
                }
            }
        }
        for info in present {
            changes.extend(self.update(info));
        }
        changes
    }

    /// All tracks whose sound is wanted.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &String> {
        self.members.values().flat_map(|member| &member.tracks)
    }
}

fn is_voice(track: &TrackInfo) -> bool {
    track.r#type() == TrackType::Audio
        && matches!(
            track.source(),
            TrackSource::Microphone | TrackSource::Unknown
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(identity: &str, sid: &str, tracks: &[&str]) -> ParticipantInfo {
        let tracks = tracks.iter().map(|sid| TrackInfo {
            sid: (*sid).into(),
            r#type: TrackType::Audio.into(),
            source: TrackSource::Microphone.into(),
            ..TrackInfo::default()
        });
        ParticipantInfo {
            identity: identity.into(),
            sid: sid.into(),
            state: State::Active.into(),
            tracks: tracks.collect(),
            ..ParticipantInfo::default()
        }
    }

    fn wanted(changes: &[Change]) -> Vec<&str> {
        let wanted = changes.iter().filter_map(|change| match change {
            Change::Wanted { track, .. } => Some(track.as_str()),
            _ => None,
        });
        wanted.collect()
    }

    #[test]
    fn whoever_comes_back_keeps_the_number() {
        let mut crowd = Crowd::default();
        let changes = crowd.update(&person("ana", "PA_1", &["TR_1"]));
        assert!(matches!(changes[0], Change::Joined(Speaker(1), _)));
        assert_eq!(wanted(&changes), ["TR_1"]);
        assert_eq!(crowd.update(&person("ana", "PA_1", &["TR_1"])), []);
        let mut gone = person("ana", "PA_1", &[]);
        gone.state = State::Disconnected.into();
        let changes = crowd.update(&gone);
        assert_eq!(
            changes,
            [Change::Unwanted("TR_1".into()), Change::Left(Speaker(1))]
        );
        assert_eq!(crowd.present(), 0);
        crowd.update(&person("ben", "PA_2", &[]));
        let changes = crowd.update(&person("ana", "PA_3", &["TR_4"]));
        assert!(matches!(changes[0], Change::Joined(Speaker(1), _)));
        assert_eq!(wanted(&changes), ["TR_4"]);
        assert_eq!(crowd.update(&gone), [], "that stay is over already");
    }

    #[test]
    fn only_voices_of_people_who_do_not_only_listen_are_wanted() {
        let mut crowd = Crowd::default();
        let mut agent = person("agent", "PA_1", &["TR_1"]);
        agent.kind = Kind::Agent.into();
        assert_eq!(crowd.update(&agent), []);
        let mut ana = person("ana", "PA_2", &["TR_2", "TR_3", "TR_4"]);
        ana.tracks[1].r#type = TrackType::Video.into();
        ana.tracks[2].source = TrackSource::ScreenShareAudio.into();
        assert_eq!(wanted(&crowd.update(&ana)), ["TR_2"]);
        ana.attributes.insert(LISTEN_ONLY.into(), "true".into());
        let changes = crowd.update(&ana);
        assert_eq!(
            changes,
            [Change::Unwanted("TR_2".into()), Change::Left(Speaker(1))]
        );
        assert_eq!(crowd.speaker("ana"), None);
        assert_eq!(crowd.present(), 1, "a listener is there");
        ana.attributes.clear();
        let changes = crowd.update(&ana);
        assert!(matches!(changes[0], Change::Joined(Speaker(1), _)));
        assert_eq!(wanted(&changes), ["TR_2"]);
    }

    #[test]
    fn after_a_rejoin_all_tracks_are_asked_for_anew() {
        let mut crowd = Crowd::default();
        crowd.update(&person("ana", "PA_1", &["TR_1"]));
        crowd.update(&person("ben", "PA_2", &["TR_2"]));
        let changes = crowd.rejoined(&[person("ana", "PA_9", &["TR_9"])]);
        assert!(changes.contains(&Change::Left(Speaker(2))));
        assert!(!changes.contains(&Change::Left(Speaker(1))));
        assert_eq!(wanted(&changes), ["TR_9"]);
        assert_eq!(crowd.wanted().collect::<Vec<_>>(), ["TR_9"]);
    }

    #[test]
    fn people_beyond_the_bound_are_not_known_until_somebody_leaves() {
        let mut crowd = Crowd::default();
        for n in 0..PEOPLE {
            crowd.update(&person(&n.to_string(), "PA", &[]));
        }
        assert_eq!(crowd.update(&person("late", "PA", &["TR"])), []);
        let mut gone = person("7", "PA", &[]);
        gone.state = State::Disconnected.into();
        crowd.update(&gone);
        assert_eq!(
            wanted(&crowd.update(&person("late", "PA", &["TR"]))),
            ["TR"]
        );
        assert_eq!(crowd.members.len(), PEOPLE);
    }
}
