//! Whole fetches from a server on this machine, and what else is done with the files.

mod server;
mod stored;

use super::store::{PART, TAG, beside};
use super::*;
use axum::http::StatusCode;
use server::{Answer, Asked, Server};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const PATH: &str = "voicepacks/piper/amy/amy.onnx";

/// So long that it comes in many pieces.
fn file() -> Vec<u8> {
    (0..200_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn sum(bytes: &[u8]) -> Sum {
    Sum::of(Sha256::new_with_prefix(bytes))
}

/// A store, a catalogue with a model of one file, and who fetches it.
struct World {
    folder: TempDir,
    model: Model,
    fetcher: Fetcher,
}

/// Remembers what it was told.
#[derive(Debug, Default)]
struct Told {
    begun: Vec<u64>,
    again: Vec<String>,
    kept: usize,
    waits: usize,
    done: usize,
    has: u64,
}

impl Watch for Told {
    fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Kept { .. } => self.kept += 1,
            Event::Waits { .. } => self.waits += 1,
            Event::Begins { has, .. } => self.begun.push(*has),
            Event::Has { bytes } => self.has = *bytes,
            Event::Again { reason, .. } => self.again.push((*reason).to_owned()),
            Event::Done { .. } => self.done += 1,
        }
    }
}

fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        stall: Duration::from_secs(5),
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
        tries: 3,
        look: Duration::from_millis(5),
    }
}

impl World {
    /// A catalogue whose one file is this, at this server.
    fn catalogue(address: &str, file: &[u8]) -> Catalogue {
        let catalogue = format!(
            "[[model]]\nid = 'amy'\nkind = 'tts'\nlicence = 'MIT'\nsource = 'https://a.org'\ndescription = 'Amy.'\n\
             metadata = {{ lang = 'en' }}\n[[model.file]]\npath = '{PATH}'\nurl = '{address}/amy.onnx'\n\
             sha256 = '{}'\nsize = {}\n",
            sum(file),
            file.len()
        );
        Catalogue::parse(&catalogue).unwrap()
    }

    fn new(address: &str, file: &[u8]) -> Self {
        let catalogue = Self::catalogue(address, file);
        Self {
            folder: tempfile::tempdir().unwrap(),
            model: catalogue.model("amy").unwrap().clone(),
            fetcher: Fetcher::new(patience(), None),
        }
    }

    fn store(&self) -> Store {
        Store::new([self.folder.path().to_owned()])
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(PATH)
    }

    fn part(&self) -> PathBuf {
        beside(&self.path(), PART)
    }

    /// Puts something there, as a fetch that was broken off or somebody's hand would have.
    fn put(&self, path: &Path, bytes: &[u8]) {
        fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    async fn fetch(&self) -> (Result<Vec<Fetched>, Error>, Told) {
        let mut told = Told::default();
        let store = self.store();
        let fetching = self.fetcher.fetch(&self.model, &store, &mut told);
        let fetched = tokio::time::timeout(Duration::from_secs(60), fetching).await;
        (fetched.expect("a fetch ends"), told)
    }

    /// Nothing but what there was: no part, no folder.
    fn is_clean(&self) -> bool {
        fs::read_dir(self.folder.path()).unwrap().next().is_none()
    }
}

fn ranges(server: &Server) -> Vec<Option<String>> {
    server
        .asked()
        .into_iter()
        .map(|asked| asked.range)
        .collect()
}

#[tokio::test]
async fn a_file_comes_whole_and_once() {
    let server = Server::start([Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    let (fetched, told) = world.fetch().await;
    let fetched = fetched.unwrap();
    assert_eq!(
        (fetched[0].path.clone(), fetched[0].is_new),
        (world.path(), true)
    );
    assert_eq!(fs::read(world.path()).unwrap(), file());
    assert_eq!(
        (told.begun, told.done, told.has),
        (vec![0], 1, file().len() as u64)
    );
    assert!(!world.part().exists() && !beside(&world.path(), TAG).exists());
    let metadata = fs::read_to_string(world.path().with_file_name("metadata.yaml")).unwrap();
    assert!(metadata.contains("lang: en"), "{metadata}");
    assert_eq!(world.store().state(&world.model), State::Present);
    // What is there and right is not asked for again.
    let (again, told) = world.fetch().await;
    assert!(!again.unwrap()[0].is_new);
    assert_eq!((told.kept, server.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_broken_fetch_goes_on_where_it_broke() {
    let server = Server::start([Answer::Cut(file(), 70_000), Answer::File(file())]).await;
    server.tag("\"one\"");
    let world = World::new(&server.address, &file());
    let (fetched, told) = world.fetch().await;
    fetched.unwrap();
    assert_eq!(fs::read(world.path()).unwrap(), file());
    assert_eq!(told.again.len(), 1, "{told:?}");
    let asked = server.asked();
    assert_eq!(
        asked[0],
        Asked {
            path: "/amy.onnx".into(),
            ..Asked::default()
        }
    );
    // How much came before the break is the system's affair, but something did.
    let range = asked[1].range.as_deref().unwrap();
    assert!(
        range.starts_with("bytes=") && range != "bytes=0-",
        "{range}"
    );
    assert_eq!(asked[1].if_range.as_deref(), Some("\"one\""));
}

#[tokio::test]
async fn the_next_program_goes_on_where_the_last_one_ended() {
    let server = Server::start([Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    world.put(&world.part(), &file()[..150_000]);
    assert_eq!(world.store().state(&world.model), State::Partial);
    let (fetched, told) = world.fetch().await;
    fetched.unwrap();
    assert_eq!(told.begun, [150_000]);
    assert_eq!(ranges(&server), [Some("bytes=150000-".to_owned())]);
    assert_eq!(fs::read(world.path()).unwrap(), file());
}

#[tokio::test]
async fn what_is_all_there_needs_no_server() {
    let world = World::new("http://127.0.0.1:9", &file());
    world.put(&world.part(), &file());
    world.fetch().await.0.unwrap();
    assert_eq!(fs::read(world.path()).unwrap(), file());
}

#[tokio::test]
async fn a_server_without_ranges_begins_anew() {
    let server = Server::start([Answer::Whole(file())]).await;
    let world = World::new(&server.address, &file());
    world.put(&world.part(), &file()[..150_000]);
    world.fetch().await.0.unwrap();
    assert_eq!(ranges(&server).len(), 1);
    assert_eq!(fs::read(world.path()).unwrap(), file());
}

#[tokio::test]
async fn a_part_of_another_version_is_not_gone_on_with() {
    let server = Server::start([Answer::File(file())]).await;
    server.tag("\"two\"");
    let world = World::new(&server.address, &file());
    world.put(&world.part(), b"of another version");
    let tag = beside(&world.path(), TAG);
    world.put(
        &tag,
        format!("{}/amy.onnx\n\"one\"\n", server.address).as_bytes(),
    );
    world.fetch().await.0.unwrap();
    assert_eq!(server.asked()[0].if_range.as_deref(), Some("\"one\""));
    assert_eq!(server.asked().len(), 1);
    assert_eq!(fs::read(world.path()).unwrap(), file());
}

#[tokio::test]
async fn a_part_that_does_not_fit_is_thrown_away_before_the_server_is_blamed() {
    let server = Server::start([Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    world.put(&world.part(), b"of another file");
    let (fetched, told) = world.fetch().await;
    fetched.unwrap();
    assert_eq!(told.again.len(), 1);
    assert_eq!(ranges(&server), [Some("bytes=15-".to_owned()), None]);
    assert_eq!(fs::read(world.path()).unwrap(), file());
}

#[tokio::test]
async fn odd_answers_to_a_range_begin_anew() {
    for odd in [
        Answer::OtherRange(file()),
        Answer::Status(StatusCode::RANGE_NOT_SATISFIABLE),
    ] {
        let server = Server::start([odd, Answer::File(file())]).await;
        let world = World::new(&server.address, &file());
        world.put(&world.part(), &file()[..100]);
        world.fetch().await.0.unwrap();
        assert_eq!(ranges(&server), [Some("bytes=100-".to_owned()), None]);
        assert_eq!(fs::read(world.path()).unwrap(), file());
    }
}

#[tokio::test]
async fn a_wrong_file_is_not_kept() {
    let mut wrong = file();
    wrong[77] ^= 1;
    let server = Server::start([Answer::File(wrong.clone())]).await;
    let world = World::new(&server.address, &file());
    let error = world.fetch().await.0.unwrap_err().to_string();
    for sum in [sum(&wrong), sum(&file())] {
        assert!(error.contains(&sum.to_string()), "{error}");
    }
    assert!(world.is_clean());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_file_of_another_size_is_refused() {
    let (long, short) = ([file(), file()].concat(), file()[..1000].to_vec());
    for (answer, said) in [
        (Answer::File(long.clone()), "has 400000 bytes"),
        (Answer::File(short.clone()), "has 1000 bytes"),
        (Answer::Unmeasured(long), "sends more"),
    ] {
        let server = Server::start([answer]).await;
        let world = World::new(&server.address, &file());
        let error = world.fetch().await.0.unwrap_err();
        assert!(matches!(error, Error::Size { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(world.is_clean());
        assert_eq!(server.asked().len(), 1);
    }
    // Nobody knows whether one that says no length was cut off: that is tried again, and kept.
    let server = Server::start([Answer::Unmeasured(short)]).await;
    let world = World::new(&server.address, &file());
    let error = world.fetch().await.0.unwrap_err();
    assert!(matches!(error, Error::Broken { has: 1000, .. }), "{error}");
    assert_eq!(server.asked().len(), 3);
    assert_eq!(fs::read(world.part()).unwrap().len(), 1000);
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    let server = Server::start([Answer::Stall(file(), 5000)]).await;
    let mut world = World::new(&server.address, &file());
    let stall = Duration::from_millis(100);
    world.fetcher = Fetcher::new(
        Patience {
            stall,
            ..patience()
        },
        None,
    );
    let (fetched, told) = world.fetch().await;
    let error = fetched.unwrap_err().to_string();
    assert!(error.contains("nothing came for 100ms"), "{error}");
    assert_eq!((told.again.len(), server.asked().len()), (2, 3));
    assert_eq!(fs::read(world.part()).unwrap().len(), 15_000);
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_and_one_without_the_file_is_not() {
    let trouble = Answer::Status(StatusCode::SERVICE_UNAVAILABLE);
    let server = Server::start([trouble.clone(), trouble.clone(), Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    let (fetched, told) = world.fetch().await;
    fetched.unwrap();
    assert_eq!(told.again.len(), 2);
    for (answer, times) in [(trouble, 3), (Answer::Status(StatusCode::NOT_FOUND), 1)] {
        let server = Server::start([answer]).await;
        let world = World::new(&server.address, &file());
        world.fetch().await.0.unwrap_err();
        assert_eq!(server.asked().len(), times);
        assert!(world.is_clean());
    }
}

#[tokio::test]
async fn without_a_network_the_file_s_way_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let world = World::new(&address, &file());
    let (fetched, told) = world.fetch().await;
    let error = fetched.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let error = error.to_string();
    for part in [
        "cannot reach 127.0.0.1",
        "/amy.onnx on another machine",
        &world.path().display().to_string(),
        "--mirror",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(told.again.is_empty());
    assert!(world.is_clean());
}

#[tokio::test]
async fn a_mirror_is_asked_instead() {
    let server = Server::start([Answer::File(file())]).await;
    let mut world = World::new("https://models.invalid/some/where", &file());
    let mirror = format!("{}/mirror/", server.address).parse().unwrap();
    world.fetcher = Fetcher::new(patience(), Some(mirror));
    world.fetch().await.0.unwrap();
    assert_eq!(server.asked()[0].path, "/mirror/some/where/amy.onnx");
}

#[tokio::test]
async fn a_redirect_is_followed_only_where_it_is_safe() {
    let other = Server::start([Answer::File(file())]).await;
    let away = format!("{}/there", other.address);
    let server = Server::start([Answer::Redirect(away)]).await;
    let world = World::new(&server.address, &file());
    let error = world.fetch().await.0.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
    assert!(error.to_string().contains("without https"), "{error}");
    assert_eq!((server.asked().len(), other.asked().len()), (1, 0));
    assert!(world.is_clean());

    let server = Server::start([Answer::Redirect("/there".into()), Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    world.fetch().await.0.unwrap();
    assert_eq!(server.asked()[1].path, "/there");

    let server = Server::start([Answer::Redirect("/round".into())]).await;
    let world = World::new(&server.address, &file());
    let error = world.fetch().await.0.unwrap_err();
    assert!(error.to_string().contains("again and again"), "{error}");
}

#[tokio::test]
async fn of_two_at_once_one_fetches_and_the_other_waits() {
    let server = Server::start([Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    let ((one, first), (other, second)) = tokio::join!(world.fetch(), world.fetch());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one[0].is_new, other[0].is_new);
    assert_eq!(server.asked().len(), 1);
    assert_eq!((first.done + second.done, first.kept + second.kept), (1, 1));
    assert_eq!(fs::read(world.path()).unwrap(), file());
    assert!(!world.part().exists());
}

#[tokio::test]
async fn while_somebody_holds_the_part_it_is_waited_for() {
    let server = Server::start([Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    world.put(&world.part(), b"");
    let held = fs::File::open(world.part()).unwrap();
    held.lock().unwrap();
    let store = world.store();
    let busy = remove::remove(&store, &world.model).unwrap_err();
    assert!(matches!(busy, Error::Busy(_)), "{busy}");
    let mut told = Told::default();
    let fetching = world.fetcher.fetch(&world.model, &store, &mut told);
    let waiting = tokio::time::timeout(Duration::from_millis(100), fetching).await;
    assert!(waiting.is_err());
    assert_eq!(told.waits, 1);
    assert_eq!(server.asked().len(), 0);
    // The other has finished: its file is kept, and nothing is fetched.
    fs::rename(world.part(), world.path()).unwrap();
    fs::write(world.path(), file()).unwrap();
    drop(held);
    let (fetched, _) = world.fetch().await;
    assert!(!fetched.unwrap()[0].is_new);
    assert_eq!(server.asked().len(), 0);
}
