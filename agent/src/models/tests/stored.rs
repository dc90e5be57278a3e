//! What is done with files that are there.

use super::*;

/// A world whose file is there and right.
fn stocked() -> World {
    let world = World::new("http://127.0.0.1:9", &file());
    world.put(&world.path(), &file());
    world
}

#[tokio::test]
async fn a_damaged_file_is_fetched_again_and_stays_until_it_is_replaced() {
    let mut flipped = file();
    flipped[100] ^= 1;
    let server = Server::start([Answer::Status(StatusCode::NOT_FOUND), Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    world.put(&world.path(), &flipped);
    // Its size does not tell.
    assert_eq!(world.store().state(&world.model), State::Present);
    world.fetch().await.0.unwrap_err();
    assert_eq!(fs::read(world.path()).unwrap(), flipped);
    assert!(!world.part().exists());
    world.fetch().await.0.unwrap();
    assert_eq!(fs::read(world.path()).unwrap(), file());
    world.put(&world.path(), b"short");
    assert_eq!(world.store().state(&world.model), State::Damaged);
}

#[test]
fn a_guard_finds_a_flipped_byte() {
    let world = stocked();
    let catalogue = World::catalogue("http://127.0.0.1:9", &file());
    let mut guard = Guard::new(&catalogue, Memory::default());
    let store = world.folder.path();
    assert_eq!(guard.file(store, PATH).unwrap(), Verdict::Good);
    let mut flipped = file();
    flipped[100] ^= 1;
    fs::write(world.path(), &flipped).unwrap();
    let verdict = guard.file(store, PATH).unwrap();
    let wanted = Verdict::Differs {
        model: "amy".into(),
        wanted: sum(&file()),
        found: sum(&flipped),
    };
    assert_eq!(verdict, wanted);
    fs::write(store.join("own.onnx"), "x").unwrap();
    assert_eq!(guard.file(store, "own.onnx").unwrap(), Verdict::Unlisted);
    fs::remove_file(world.path()).unwrap();
    assert!(guard.file(store, PATH).is_err());
}

#[test]
fn removing_takes_the_model_s_files_and_nothing_else() {
    let world = stocked();
    let root = world.folder.path();
    let metadata = world.path().with_file_name("metadata.yaml");
    fs::write(&metadata, world.model.metadata.as_ref().unwrap()).unwrap();
    fs::write(world.part(), "x").unwrap();
    fs::create_dir_all(root.join("voicepacks/piper/bob")).unwrap();
    fs::write(root.join("voicepacks/piper/bob/bob.onnx"), "x").unwrap();
    let removed = remove::remove(&world.store(), &world.model).unwrap();
    let mut files = removed.files;
    files.sort();
    assert_eq!(files, [world.path(), world.part(), metadata.clone()]);
    assert!(removed.bytes > file().len() as u64);
    assert!(!root.join("voicepacks/piper/amy").exists());
    assert!(root.join("voicepacks/piper/bob/bob.onnx").exists());
    let none = remove::remove(&world.store(), &world.model).unwrap_err();
    assert!(matches!(none, Error::NotThere(_)), "{none}");

    // What somebody has written is kept, and so is the folder that it is in.
    world.put(&world.path(), &file());
    fs::write(&metadata, "lang: pt").unwrap();
    remove::remove(&world.store(), &world.model).unwrap();
    assert!(metadata.exists() && !world.path().exists());
    fs::remove_file(&metadata).unwrap();
    fs::remove_dir_all(root.join("voicepacks/piper/bob")).unwrap();
    world.put(&world.path(), &file());
    remove::remove(&world.store(), &world.model).unwrap();
    assert!(world.is_clean() && root.is_dir());
}

#[test]
fn removing_stays_inside_the_folder_that_is_written_to() {
    let world = stocked();
    let own = tempfile::tempdir().unwrap();
    let folders = [own.path().to_owned(), world.folder.path().to_owned()];
    let store = Store::new(folders);
    let error = remove::remove(&store, &world.model).unwrap_err();
    assert!(matches!(error, Error::Outside { .. }), "{error}");
    assert!(world.path().exists());
    // A link out of the store does not make it larger.
    let linked = own.path().join("voicepacks");
    std::os::unix::fs::symlink(world.folder.path().join("voicepacks"), linked).unwrap();
    let error = remove::remove(&store, &world.model).unwrap_err();
    assert!(matches!(error, Error::Outside { .. }), "{error}");
    assert!(world.path().exists());
}

#[tokio::test]
async fn the_first_folder_that_can_be_written_takes_what_is_fetched() {
    let server = Server::start([Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    // A file where a folder should be: nothing can be made in it, whoever asks.
    let blocked = world.folder.path().join("blocked");
    fs::write(&blocked, "").unwrap();
    let (first, second) = (world.folder.path().join("1"), world.folder.path().join("2"));
    let store = Store::new([
        PathBuf::new(),
        blocked.join("models"),
        first.clone(),
        second,
    ]);
    assert_eq!(store.writable(), None, "looking makes no folder");
    let mut told = Told::default();
    let fetched = world
        .fetcher
        .fetch(&world.model, &store, &mut told)
        .await
        .unwrap();
    assert_eq!(fetched[0].path, first.join(PATH));
    let store = Store::new([blocked.join("models")]);
    let error = world
        .fetcher
        .fetch(&world.model, &store, &mut told)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ReadOnly(_)), "{error}");
}

#[tokio::test]
async fn what_a_later_folder_has_is_not_fetched_and_not_mixed() {
    let server = Server::start([Answer::File(file())]).await;
    let world = World::new(&server.address, &file());
    let first = tempfile::tempdir().unwrap();
    let store = Store::new([first.path().to_owned(), world.folder.path().to_owned()]);
    world.put(&world.path(), &file());
    let mut told = Told::default();
    let fetched = world
        .fetcher
        .fetch(&world.model, &store, &mut told)
        .await
        .unwrap();
    assert_eq!(
        (fetched[0].path.clone(), fetched[0].is_new),
        (world.path(), false)
    );
    // A damaged one there does not matter once the first folder has it.
    world.put(&world.path(), b"damaged");
    let fetched = world
        .fetcher
        .fetch(&world.model, &store, &mut told)
        .await
        .unwrap();
    assert_eq!(fetched[0].path, first.path().join(PATH));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_folder_that_is_marked_read_only_is_left_alone_even_by_root() {
    let world = stocked();
    let mark = |folder: &Path, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(folder, mode).unwrap();
    };
    let (root, pack) = (world.folder.path(), world.path());
    let pack = pack.parent().unwrap();
    mark(pack, 0o555);
    let refused = remove::remove(&world.store(), &world.model).unwrap_err();
    assert!(
        refused.to_string().contains("marked read-only"),
        "{refused}"
    );
    mark(pack, 0o755);
    mark(root, 0o555);
    assert_eq!(world.store().writable(), None);
    let refused = remove::remove(&world.store(), &world.model).unwrap_err();
    assert!(matches!(refused, Error::ReadOnly(_)), "{refused}");
    assert!(world.path().exists());
    // So that it can be cleared away.
    mark(root, 0o755);
}
