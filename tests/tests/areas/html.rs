//! HTML in messages, events and notifications: what runs never reaches a reader, whichever way it is read.

use carillon_client::{Event, v1};
use carillon_tests::hub;
use carillon_tests::story::{broken, message, text_of, wrong_field};
use v1::content::Body;
use v1::send_notification_request::Audience;

const ROOM: &str = "room:lobby";

#[expect(clippy::unnecessary_wraps, reason = "as the protocol has it")]
fn html(text: &str) -> Option<v1::Content> {
    Some(v1::Content { body: Some(Body::Text(text.to_owned())), media_type: "text/html".to_owned() })
}

fn send(text: &str) -> v1::MessageSend {
    v1::MessageSend { content: html(text), ..message(ROOM, "") }
}

fn edit(seq: u64, text: &str) -> v1::MessageEdit {
    v1::MessageEdit { room: ROOM.to_owned(), seq, content: html(text), expected_version: None }
}

/// What is sent, and what of it arrives.
const CASES: [(&str, &str); 6] = [
    ("<p>Lunch <b>at noon</b></p>", "<p>Lunch <b>at noon</b></p>"),
    ("hello<script>steal()</script>", "hello"),
    ("<p onmouseover=\"steal()\">hello</p>", "<p>hello</p>"),
    ("<a href=\"javascript:steal()\">hello</a>", "<a rel=\"noopener noreferrer nofollow\">hello</a>"),
    (
        "<img src=\"data:image/svg+xml,&lt;svg onload=steal()&gt;\">hello<svg onload=\"steal()\"></svg>",
        "hello",
    ),
    ("<style>* { display: none }</style><i style=\"color: red\">hello</i>", "<i>hello</i>"),
];

#[tokio::test]
async fn messages_and_edits_arrive_sanitised() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    bob.joins(ROOM).await;
    for (sent, kept) in CASES {
        let accepted = alice.client.send_message(send(sent)).await.unwrap();
        let heard = bob.hears(ROOM).await;
        assert_eq!(text_of(heard.content.as_ref()), kept);
        assert_eq!(heard.content.unwrap().media_type, "text/html");
        let seq = accepted.position.unwrap().seq;
        alice.client.edit_message(edit(seq, &format!("{sent}, edited"))).await.unwrap();
        let edited = bob.waits_for(|event| match event {
            Event::MessageEdited(edited) => Some(edited.content),
            _ => None,
        });
        assert_eq!(text_of(edited.await.as_ref()), format!("{kept}, edited"));
    }
    for entry in alice.reads(ROOM).await {
        let content = match entry {
            Event::Message(message) => message.content,
            Event::MessageEdited(edited) => edited.content,
            other => panic!("{other:?}"),
        };
        let text = text_of(content.as_ref()).to_owned();
        assert!(text.contains(", edited") && !text.contains("steal") && !text.contains("style"), "{text}");
    }
}

#[tokio::test]
async fn what_says_nothing_once_sanitised_is_refused() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let first = alice.says(ROOM, "first").await;
    let expected =
        ("INVALID_ARGUMENT".to_owned(), "content".to_owned(), "not empty once sanitised".to_owned());
    for nothing in ["<script>steal()</script>", "<!-- nothing -->", "<svg onload=\"steal()\"></svg>"] {
        assert_eq!(broken(alice.client.send_message(send(nothing)).await), expected, "{nothing}");
        assert_eq!(broken(alice.client.edit_message(edit(first, nothing)).await), expected, "{nothing}");
    }
    // As text there would be more of it than a text may be.
    let grows = broken(alice.client.send_message(send(&"&".repeat(9_000))).await);
    assert_eq!((grows.0.as_str(), grows.1.as_str()), ("MESSAGE_TOO_LARGE", "content.text"));
    let control = broken(alice.client.send_message(send("a&#7;b")).await);
    assert_eq!((control.1.as_str(), control.2.as_str()), ("content.text", "no control characters"));
    let content = Some(v1::Content {
        body: Some(Body::Data("<script>steal()</script>".into())),
        media_type: "text/HTML; charset=utf-8".to_owned(),
    });
    let data = v1::MessageSend { content, ..message(ROOM, "") };
    assert_eq!(wrong_field(alice.client.send_message(data).await), "content.media_type");
    assert_eq!(alice.reads(ROOM).await.len(), 1);
}

#[tokio::test]
async fn other_text_is_stored_as_it_was_sent() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    bob.joins(ROOM).await;
    for media_type in ["", "text/markdown"] {
        let text = "1 < 2 & <script>steal()</script>";
        let content =
            v1::Content { body: Some(Body::Text(text.to_owned())), media_type: media_type.to_owned() };
        let sent = v1::MessageSend { content: Some(content.clone()), ..message(ROOM, "") };
        alice.client.send_message(sent).await.unwrap();
        assert_eq!(bob.hears(ROOM).await.content, Some(content));
    }
}

#[tokio::test]
async fn notifications_and_events_arrive_sanitised() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    bob.joins(ROOM).await;
    let request = v1::SendNotificationRequest {
        audience: Some(Audience::Users(v1::UserList { users: vec!["bob".into()] })),
        kind: "news".into(),
        title: "news".into(),
        body: html("<b>news</b><script>steal()</script>"),
        ..Default::default()
    };
    hub.admin().send_notification(request.clone()).await.unwrap();
    assert_eq!(text_of(bob.is_notified().await.body.as_ref()), "<b>news</b>");
    let nothing = v1::SendNotificationRequest { body: html("<script>steal()</script>"), ..request };
    assert_eq!(wrong_field(hub.admin().send_notification(nothing).await), "body");
    for room in [ROOM, "live:1"] {
        bob.client.join(room).await.unwrap();
        let payload = html("<i onclick=\"steal()\">moved</i>");
        let publish =
            v1::EventPublish { room: room.into(), name: "moved".into(), payload, ..Default::default() };
        alice.client.publish(publish).await.unwrap();
        let heard = bob.waits_for(|event| match event {
            Event::Event(event) if event.room == room => Some(event.payload),
            _ => None,
        });
        assert_eq!(text_of(heard.await.as_ref()), "<i>moved</i>");
    }
}
