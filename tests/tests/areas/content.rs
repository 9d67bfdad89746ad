//! What a message may hold, and how a wrong one is refused. Nothing of a refused one is stored.

use carillon_client::{Event, text, v1};
use carillon_tests::hub;
use carillon_tests::story::{broken, message, refusal, verdict, wrong_field};
use v1::content::Body;

#[expect(clippy::unnecessary_wraps, reason = "as the protocol has it")]
fn content(body: Body, media_type: &str) -> Option<v1::Content> {
    Some(v1::Content { body: Some(body), media_type: media_type.to_owned() })
}

#[tokio::test]
async fn every_kind_of_content_arrives_as_it_was_sent() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    bob.joins("room:lobby").await;
    let bytes: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    let attributes = (0..16).map(|n| (format!("{n:064}"), "v".repeat(256))).collect();
    let mut sent = Vec::new();
    for body in [
        message("room:lobby", &"ü".repeat(10_000)),
        message("room:lobby", "tabs\tand\r\nlines"),
        v1::MessageSend {
            content: content(Body::Text("*so*".into()), "text/markdown"),
            attributes,
            ..message("room:lobby", "")
        },
        v1::MessageSend {
            content: content(Body::Text("<b>so</b>".into()), "text/html"),
            ..message("room:lobby", "")
        },
        v1::MessageSend { content: content(Body::Data(bytes.into()), ""), ..message("room:lobby", "") },
        v1::MessageSend {
            content: content(Body::Data(vec![0, 1].into()), "image/png"),
            reply_to: Some(1),
            ..message("room:lobby", "")
        },
    ] {
        let accepted = alice.client.send_message(body.clone()).await.unwrap();
        sent.push((body, accepted));
    }
    let history = alice.reads("room:lobby").await;
    for ((body, accepted), past) in sent.iter().zip(history) {
        let heard = bob.hears("room:lobby").await;
        let header = heard.header.clone().unwrap();
        assert_eq!(Some(header.seq), accepted.position.as_ref().map(|position| position.seq));
        assert_eq!((header.sender.as_str(), header.time_ms), ("alice", accepted.time_ms));
        assert_eq!((&heard.content, &heard.attributes), (&body.content, &body.attributes));
        assert_eq!((heard.reply_to, heard.number), (body.reply_to, accepted.number));
        assert_eq!((heard.version, heard.deleted, heard.edited_time_ms), (1, false, 0));
        assert_eq!(past, Event::Message(Box::new(heard)), "a replay is the same");
    }
    // What is meant anyway is left out.
    let plain = v1::MessageSend {
        content: content(Body::Text("x".into()), "text/plain"),
        ..message("room:lobby", "")
    };
    alice.client.send_message(plain).await.unwrap();
    assert_eq!(bob.hears("room:lobby").await.content, Some(text("x")));
}

#[tokio::test]
async fn a_wrong_content_is_refused_by_its_rule() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    alice.says("room:lobby", "first").await;
    let long = "x".repeat(10_001);
    let large = vec![0; 65_537];
    let cases = [
        (content(Body::Text(long), ""), "MESSAGE_TOO_LARGE", "content.text", "at most 10000 characters"),
        (content(Body::Data(large.into()), ""), "MESSAGE_TOO_LARGE", "content.data", "at most 65536 bytes"),
        (
            content(Body::Text("a\u{7}b".into()), ""),
            "INVALID_ARGUMENT",
            "content.text",
            "no control characters",
        ),
        (
            content(Body::Text("a\u{85}b".into()), ""),
            "INVALID_ARGUMENT",
            "content.text",
            "no control characters",
        ),
        (content(Body::Text(String::new()), ""), "INVALID_ARGUMENT", "content", "required"),
        (content(Body::Data(vec![].into()), ""), "INVALID_ARGUMENT", "content", "required"),
        (None, "INVALID_ARGUMENT", "content", "required"),
        (
            content(Body::Text("x".into()), "image/png"),
            "INVALID_ARGUMENT",
            "content.media_type",
            "text/plain, text/markdown or text/html for text",
        ),
        (
            content(Body::Data(vec![1].into()), "png"),
            "INVALID_ARGUMENT",
            "content.media_type",
            "type/subtype, at most 128 bytes",
        ),
    ];
    for (content, code, field, rule) in cases {
        let expected = (code.to_owned(), field.to_owned(), rule.to_owned());
        let send = v1::MessageSend { content: content.clone(), ..message("room:lobby", "") };
        assert_eq!(broken(alice.client.send_message(send).await), expected);
        let edit = v1::MessageEdit { room: "room:lobby".into(), seq: 1, content, expected_version: None };
        assert_eq!(broken(alice.client.edit_message(edit).await), expected);
    }
    for attributes in [
        (0..17).map(|n| (n.to_string(), String::new())).collect(),
        [("k".repeat(65), String::new())].into(),
        [(String::new(), String::new())].into(),
        [("k".to_owned(), "v".repeat(257))].into(),
    ] {
        let send = v1::MessageSend { attributes, ..message("room:lobby", "x") };
        assert_eq!(wrong_field(alice.client.send_message(send).await), "attributes");
    }
    assert_eq!(alice.reads("room:lobby").await.len(), 1, "nothing is stored in part");
}

#[tokio::test]
async fn names_that_are_none_and_places_that_are_not_there_yet() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let first = alice.says("room:lobby", "first").await;
    for name in
        ["", "lobby", ":lobby", "room:", "room:a b", "room:\u{7}", "room:é", &format!("room:{:0251}", 0)]
    {
        assert_eq!(wrong_field(alice.client.send(name, "hello").await), "room", "{name:?}");
        assert_eq!(wrong_field(alice.client.join(name).await), "room", "{name:?}");
    }
    assert_eq!(verdict(alice.client.send("unknown:1", "hello").await), "ACCESS_DENIED");
    let room = "room:lobby";
    for (seq, rule) in
        [(first + 1, "not beyond the head"), (0, "from 1"), (u64::MAX, "at most 9223372036854775807")]
    {
        let expected = |field: &str| ("INVALID_ARGUMENT".to_owned(), field.to_owned(), rule.to_owned());
        let reply = v1::MessageSend { reply_to: Some(seq), ..message(room, "x") };
        assert_eq!(broken(alice.client.send_message(reply).await), expected("reply_to"));
        assert_eq!(broken(alice.client.mark_read(room, seq).await), expected("up_to"));
        assert_eq!(broken(alice.client.mark_delivered(room, seq).await), expected("up_to"));
        assert_eq!(broken(alice.client.edit(room, seq, "x").await), expected("seq"));
        assert_eq!(broken(alice.client.delete(room, seq).await), expected("seq"));
        assert_eq!(broken(alice.client.react(room, seq, "+1", true).await), expected("seq"));
    }
    let reaction = seq_of_reaction(&alice, room, first).await;
    assert_eq!(verdict(alice.client.edit(room, reaction, "x").await), "NOT_FOUND");
    assert_eq!(verdict(alice.client.delete(room, reaction).await), "NOT_FOUND");
    assert_eq!(verdict(alice.client.react(room, reaction, "+1", true).await), "NOT_FOUND");
    for key in ["", "a\u{7}", &"x".repeat(65)] {
        assert_eq!(wrong_field(alice.client.react(room, first, key, true).await), "key");
    }
    let live = refusal(alice.client.send("live:1", "hello").await);
    assert_eq!((live.code.name(), live.violations[0].field.as_str()), ("INVALID_ARGUMENT", "room"));
    assert_eq!(wrong_field(alice.client.mark_read("live:1", 1).await), "room");
    assert_eq!(alice.reads(room).await.len(), 2);
}

async fn seq_of_reaction(alice: &carillon_tests::Person, room: &str, seq: u64) -> u64 {
    carillon_tests::story::seq_of(&alice.client.react(room, seq, "+1", true).await.unwrap())
}

/// Data that a page would run is no attachment, unless the namespace says so.
#[tokio::test]
async fn data_has_a_media_type_that_its_namespace_takes() {
    let hub = hub().with(|config| {
        for namespace in config.namespaces.iter_mut().filter(|namespace| namespace.name == "state") {
            namespace.data_types = vec!["image/svg+xml".to_owned()];
        }
    });
    let hub = hub.start().await;
    let alice = hub.enters("alice").await;
    let send = |room: &str, media_type: &str| {
        let content = content(Body::Data(vec![1].into()), media_type);
        alice.client.send_message(v1::MessageSend { content, ..message(room, "") })
    };
    let publish = |room: &str, media_type: &str| {
        let payload = content(Body::Data(vec![1].into()), media_type);
        let publish =
            v1::EventPublish { room: room.to_owned(), name: "n".to_owned(), payload, ..Default::default() };
        alice.client.publish(publish)
    };
    for (room, media_type, is_taken) in [
        ("room:lobby", "image/png", true),
        ("room:lobby", "image/svg+xml", false),
        ("room:lobby", "text/javascript", false),
        ("state:x", "image/svg+xml", true),
        ("state:x", "image/png", false),
        ("live:x", "application/xml", false),
        ("room:lobby", "video/webm; codecs=\"vp8\"", true),
    ] {
        if room.starts_with("room:") {
            assert_eq!(send(room, media_type).await.is_ok(), is_taken, "{room} {media_type}");
        }
        match publish(room, media_type).await {
            Ok(_) => assert!(is_taken, "{room} {media_type}"),
            refused => assert_eq!((broken(refused).1, is_taken), ("payload.media_type".to_owned(), false)),
        }
    }
    // What a browser would read as a list, whose last counts.
    let disguised = [
        "image/png;,text/html",
        "application/json; ,text/html",
        "image/png;a=\",text/html\"",
        "video/x,text/html",
        "video/../text/html",
        "video/",
        "video/<script>",
    ];
    for media_type in disguised {
        assert_eq!(broken(send("room:lobby", media_type).await).1, "content.media_type", "{media_type}");
        assert_eq!(broken(publish("live:x", media_type).await).1, "payload.media_type", "{media_type}");
    }
    let everybody = Some(v1::send_notification_request::Audience::AllUsers(true));
    let notice = v1::SendNotificationRequest {
        audience: everybody,
        kind: "k".to_owned(),
        title: "t".to_owned(),
        ..Default::default()
    };
    for media_type in [disguised[0], "image/svg+xml"] {
        let body = content(Body::Data(vec![1].into()), media_type);
        let notice = v1::SendNotificationRequest { body, ..notice.clone() };
        assert_eq!(broken(hub.admin().send_notification(notice).await).1, "body.media_type");
    }
}
