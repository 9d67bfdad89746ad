//! `config check`, `config show`, and the same errors from `hub`.

use std::fs;
use std::path::{Path, PathBuf};

use carillon_tests::command::carillon;

/// The settings of `serve --dev` as a file, changed.
fn file(folder: &Path, change: impl FnOnce(String) -> String) -> PathBuf {
    let shown = carillon(["config", "show", "--dev", "--data"]).arg(folder.join("data")).run().good();
    let file = folder.join("hub.toml");
    fs::write(&file, change(shown.out)).unwrap();
    file
}

#[test]
fn good_settings_are_called_good_and_shown_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), |text| text);
    let name = file.to_str().unwrap();
    let checked = carillon(["config", "check", "--config", name]).run().good();
    assert_eq!(checked.out, format!("{name}: a hub would start with this\n"));
    let checked =
        carillon(["config", "check", "--json"]).variable("CARILLON_CONFIG", name).run().good().object();
    assert_eq!(checked["valid"], true);
    let shown = carillon(["config", "show", "--config", name]).run().good();
    assert_eq!(shown.out, fs::read_to_string(&file).unwrap(), "what is shown is what is read");
    let shown = carillon(["config", "show", "--config", name, "--json"])
        .variable("CARILLON__SESSION__FRAME_BYTES", "20000")
        .run()
        .good()
        .object();
    assert_eq!(shown["session"]["frame_bytes"], 20_000);

    let secret = "0123456789abcdef0123456789abcdef";
    let hidden = folder.path().join("secret.toml");
    let text = format!("[auth]\nsecret = \"{secret}\"\n[[namespace]]\nname = \"room\"\n");
    fs::write(&hidden, text).unwrap();
    let shown = carillon(["config", "show", "--config"]).arg(&hidden).run().good();
    assert!(!shown.out.contains(secret), "{shown:?}");
}

#[test]
fn what_is_wrong_is_told_in_one_way_by_check_and_hub() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let name = file(folder.path(), |text| text);
    let good = fs::read_to_string(&name).unwrap();
    let path = name.to_str().unwrap();
    let wrong = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let cases = [
        (wrong("frame_bytes = 102400", "frame_bytes = 99"), "session.frame_bytes: 16384 to 1048576"),
        (format!("{good}\n[sesion]\nframe_bytes = 20000\n"), "sesion: no such key"),
        (format!("{good}\n[[["), "line "),
        (wrong("secret_file = ", "secret_file = \"nowhere\" # "), "auth.secret_file"),
        (wrong("mode = \"development\"", "mode = \"testing\""), "allowed: "),
    ];
    for (text, says) in cases {
        fs::write(&name, text).unwrap();
        let checked = carillon(["config", "check", "--config", path]).run().fails(says);
        assert!(checked.err.contains(path), "{checked:?}");
        assert_eq!(carillon(["hub", "--config", path]).run(), checked);
        assert_eq!(carillon(["serve", "--config", path]).run(), checked);
    }
    for command in [&["config", "check"][..], &["hub"]] {
        carillon(command).arg("--config").arg(&missing).run().fails("cannot be read");
    }
    fs::write(&name, &good).unwrap();
    let variable =
        carillon(["config", "check", "--config", path]).variable("CARILLON__SESSION__FRAME_BYTES", "99");
    variable.run().fails("CARILLON__SESSION__FRAME_BYTES");
    carillon(["config", "check"]).run().fails("which configuration");
    carillon(["serve"]).run().fails("what shall it run with");
}
