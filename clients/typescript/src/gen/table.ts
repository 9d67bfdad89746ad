// Made by scripts/generate.mjs from proto/. Do not edit.

/** The messages and enums of a session, in the language that wire/table.ts explains. */
export const TABLE: string = `
Position:1 epoch l,2 seq l,3 tag f
EntryHeader:1 seq l,2 tag f,3 epoch l,4 timeMs i,5 sender s
Content:1 text s@body,2 data y@body,3 mediaType s
Done:
EntryAccepted:1 position Position,2 timeMs i,3 duplicate b,4 version u
Error:1 code s,2 message s,3 timeMs i,4 requestId s,5 retryable b,6 retryAfterMs u,7 violations Violation*
Violation:1 field s,2 rule s
#Role:ROLE_UNSPECIFIED,ROLE_OWNER,ROLE_MODERATOR,ROLE_MEMBER,ROLE_READER
InboxPosition:1 own l,2 broadcast l,3 epoch l
Notification:1 id s,2 position InboxPosition,3 kind s,4 title s,5 body Content,6 priority #NotificationPriority,7 data s%,8 sender s,9 timeMs i,10 read b,11 expiresMs i
NotificationsGet:1 cursor s,2 filter NotificationFilter,3 limit u
NotificationFilter:1 unreadOnly b,2 kinds s*,3 priorities #NotificationPriority*
NotificationsPage:1 notifications Notification*,2 nextCursor s,3 inboxUnread l,4 asOf InboxPosition
NotificationRead:1 ids s*,2 upTo InboxPosition
NotificationDelete:1 ids s*
NotificationState:1 ids s*,2 read b,3 deleted b,4 upTo InboxPosition,5 inboxUnread l
InboxUnread:1 count l,2 critical l
#NotificationPriority:NOTIFICATION_PRIORITY_UNSPECIFIED,NOTIFICATION_PRIORITY_LOW,NOTIFICATION_PRIORITY_NORMAL,NOTIFICATION_PRIORITY_HIGH,NOTIFICATION_PRIORITY_CRITICAL
MessageSend:1 room s,2 content Content,3 replyTo l?,4 attributes s%
MessageSent:1 position Position,2 number l,3 timeMs i,4 duplicate b
Message:1 room s,2 header EntryHeader,3 number l,4 content Content,5 replyTo l?,6 attributes s%,7 version u,8 deleted b,9 editedTimeMs i,10 reactions ReactionSummary*,11 byService b
ReactionSummary:1 key s,2 users s*,3 count u
MessageEdit:1 room s,2 seq l,3 content Content,4 expectedVersion u?
MessageEdited:1 room s,2 header EntryHeader,3 targetSeq l,4 content Content,5 version u
MessageDelete:1 room s,2 seq l
MessageDeleted:1 room s,2 header EntryHeader,3 targetSeq l
ReactionSet:1 room s,2 seq l,3 key s,4 add b
Reaction:1 room s,2 header EntryHeader,3 targetSeq l,4 key s,5 add b
MarkDelivered:1 room s,2 upTo l
MarkRead:1 room s,2 upTo l
MarksAccepted:1 marks Marks
Marks:1 room s,2 user s,3 delivered l,4 read l
TypingSet:1 room s,2 active b
Typing:1 room s,2 user s,3 active b
PresenceSet:1 status #PresenceStatus,2 text s
PresenceGet:1 room s,2 cursor s,3 limit u
PresencePage:1 states PresenceState*,2 nextCursor s,3 occupancy u
PresenceWatch:1 users s*
PresenceState:1 user s,2 status #PresenceStatus,3 text s,4 lastActiveMs i,5 devices u
Presence:1 room s,2 state PresenceState,3 reason #PresenceReason
#PresenceStatus:PRESENCE_STATUS_UNSPECIFIED,PRESENCE_STATUS_ONLINE,PRESENCE_STATUS_AWAY,PRESENCE_STATUS_BUSY,PRESENCE_STATUS_OFFLINE
#PresenceReason:PRESENCE_REASON_UNSPECIFIED,PRESENCE_REASON_SNAPSHOT,PRESENCE_REASON_JOINED,PRESENCE_REASON_LEFT,PRESENCE_REASON_CHANGED,PRESENCE_REASON_DISCONNECTED,PRESENCE_REASON_RETURNED,PRESENCE_REASON_WATCHED
Join:1 room s,2 since Position,3 rewind u,4 presence b
Joined:1 room s,2 position Position,3 recovered b,4 truncated b,5 marks Marks,6 occupancy u,7 role #Role,8 presence PresenceState*,9 presenceMore b,10 rules RoomRules,11 reason #JoinReason
RoomRules:1 durable b,2 typing b,3 receipts b,4 editWindowMs u?
Leave:1 room s
Left:1 room s,2 reason #LeaveReason
Gap:1 room s,2 from l,3 to l
Unread:1 room s,2 count l,3 lastSeq l,4 lastMessage Message
Occupancy:1 room s,2 count u
RoomsGet:1 cursor s,2 limit u,3 unreadOnly b
RoomsPage:1 rooms RoomSummary*,2 nextCursor s
RoomSummary:1 room s,2 head Position,3 headNumber l,4 unread l,5 marks Marks,6 lastMessage Message,7 role #Role,8 metadata s%,9 peer s?,10 version l
#JoinReason:JOIN_REASON_UNSPECIFIED,JOIN_REASON_COMMAND,JOIN_REASON_AUTOMATIC,JOIN_REASON_RESUMED
#LeaveReason:LEAVE_REASON_UNSPECIFIED,LEAVE_REASON_COMMAND,LEAVE_REASON_REMOVED,LEAVE_REASON_DENIED,LEAVE_REASON_UNAVAILABLE
Hello:1 token s,2 protocol u,3 client s,4 instance s,5 resume Resume
Resume:1 rooms RoomPosition*,2 inbox InboxPosition
RoomPosition:1 room s,2 position Position,3 presence b
Connected:1 session s,2 user s,3 tenant s,4 serverTimeMs i,5 heartbeat Heartbeat,6 limits Limits,7 unread RoomSummary*,8 unreadMore b,9 inboxUnread l,10 inbox InboxPosition,11 tokenExpiresMs i,12 inboxAfter InboxPosition
Heartbeat:1 intervalMs u,2 timeoutMs u
Limits:1 frameBytes u,2 contentChars u,3 contentBytes u,4 roomsPerSession u,5 commandsInFlight u,6 idempotencyWindowMs u,7 attributes u,8 attributeKeyBytes u,9 attributeValueBytes u,10 historyEntries u,11 rewindEntries u,12 watchedUsers u
RefreshToken:1 token s
TokenExpiring:1 expiresMs i
Ping:
Pong:1 timeMs i
Goodbye:
GoingAway:1 reconnectAfterMs u
Disconnected:1 code s,2 reconnect b,3 retryAfterMs u,4 message s
ConversationCreate:1 members Member*,2 metadata s%,3 direct b
ConversationCreated:1 room s,2 position Position,3 duplicate b
ConversationUpdate:1 room s,2 metadata s%,3 removeKeys s*,4 expectedVersion l?
MemberAdd:1 room s,2 user s,3 role #Role
MemberRemove:1 room s,2 user s
MemberRole:1 room s,2 user s,3 role #Role
MembersGet:1 room s,2 cursor s,3 limit u
MembersPage:1 members Member*,2 nextCursor s
Member:1 user s,2 role #Role
Membership:1 room s,2 header EntryHeader,3 user s,4 change #MembershipChange,5 role #Role
RoomChanged:1 room s,2 header EntryHeader,3 metadata s%,4 created b
#MembershipChange:MEMBERSHIP_CHANGE_UNSPECIFIED,MEMBERSHIP_CHANGE_ADDED,MEMBERSHIP_CHANGE_REMOVED,MEMBERSHIP_CHANGE_LEFT,MEMBERSHIP_CHANGE_ROLE_CHANGED
EventPublish:1 room s,2 name s,3 key s,4 payload Content,5 excludeSelf b
Event:1 room s,2 header EntryHeader,3 name s,4 key s,5 payload Content,6 byService b
HistoryGet:1 room s,2 before l@bound,3 after l@bound,4 limit u
HistoryPage:1 entries HistoryEntry*,2 asOf Position,3 more b
HistoryEntry:1 message Message@entry,2 messageEdited MessageEdited@entry,3 messageDeleted MessageDeleted@entry,4 reaction Reaction@entry,5 membership Membership@entry,6 roomChanged RoomChanged@entry,7 event Event@entry
SessionRequest:1 commandId u,2 idempotencyKey y,3 messageSend MessageSend@command,4 eventPublish EventPublish@command,5 ping Ping@command,6 pong Pong@command,7 markRead MarkRead@command,8 markDelivered MarkDelivered@command,9 typing TypingSet@command,10 join Join@command,16 hello Hello@command,17 refreshToken RefreshToken@command,18 goodbye Goodbye@command,24 leave Leave@command,25 history HistoryGet@command,26 rooms RoomsGet@command,40 conversationCreate ConversationCreate@command,41 conversationUpdate ConversationUpdate@command,42 memberAdd MemberAdd@command,43 memberRemove MemberRemove@command,44 memberRole MemberRole@command,45 members MembersGet@command,56 messageEdit MessageEdit@command,57 messageDelete MessageDelete@command,58 reaction ReactionSet@command,72 presenceSet PresenceSet@command,73 presenceGet PresenceGet@command,74 presenceWatch PresenceWatch@command,88 notifications NotificationsGet@command,89 notificationRead NotificationRead@command,90 notificationDelete NotificationDelete@command
SessionResponse:1 commandId u,2 message Message@kind,3 event Event@kind,4 marks Marks@kind,5 typing Typing@kind,6 presence Presence@kind,7 done Done@kind,8 messageSent MessageSent@kind,9 marksAccepted MarksAccepted@kind,10 ping Ping@kind,11 pong Pong@kind,12 unread Unread@kind,13 error Error@kind,14 entryAccepted EntryAccepted@kind,16 connected Connected@kind,17 tokenExpiring TokenExpiring@kind,18 goingAway GoingAway@kind,19 disconnected Disconnected@kind,24 joined Joined@kind,25 left Left@kind,26 gap Gap@kind,27 occupancy Occupancy@kind,28 historyPage HistoryPage@kind,29 roomsPage RoomsPage@kind,40 conversationCreated ConversationCreated@kind,41 membership Membership@kind,42 roomChanged RoomChanged@kind,43 membersPage MembersPage@kind,56 messageEdited MessageEdited@kind,57 messageDeleted MessageDeleted@kind,58 reaction Reaction@kind,72 presencePage PresencePage@kind,88 notification Notification@kind,89 notificationState NotificationState@kind,90 inboxUnread InboxUnread@kind,91 notificationsPage NotificationsPage@kind
`;
