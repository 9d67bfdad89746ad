-- Blanks what a user wrote in a stretch of a room, and where the stretch is the last one their marks and state.

-- Whether it is a message or an event of a service: a message's first number says so, and an event's version.
local function is_of_service(e)
  return e.kind == 1 and string.byte(e.body, 8) >= 128 or e.kind == 7 and e.version == 1
end

local tenant, room, user, after, most = arg(), arg(), arg(), num(), num()
local r = read_room(P .. 'r/' .. tenant .. '/' .. room)
local wrote = P .. 'wrote/' .. tenant .. '/' .. user
if not r.exists then
  call('SREM', wrote, room)
  return { 0, 0, 1, 0 }
end
local seq, blanked = math.max(after + 1, r.first), 0
while seq <= r.head and most > 0 do
  local record = call('HGET', r.base .. '/e', seq)
  if record then
    local e = open(record)
    -- What services of that name wrote is not theirs: their messages and events say so.
    if e.sender == user and not is_of_service(e) then
      if e.kind == 1 then
        if blank_message(r, seq, e) then blanked = blanked + 1 end
        most = most - 20
      elseif e.kind == 2 then
        rewrite(r, seq, e, string.sub(e.body, 1, 8) .. '\0\0\0\0')
      elseif e.kind == 4 then
        local target = struct.unpack('<I8', e.body)
        local key = r.base .. '/x/' .. target
        call('SREM', key, string.sub(e.body, 10) .. '\0' .. user)
        if call('EXISTS', key) == 0 then call('SREM', r.base .. '/xs', target) end
        rewrite(r, seq, e, string.sub(e.body, 1, 9) .. '-')
      elseif e.kind == 7 then
        local length = struct.unpack('<I4', e.body)
        if length > 0 then
          blanked = blanked + 1
          rewrite(r, seq, e, '\0\0\0\0' .. string.sub(e.body, 5 + length))
        end
      end
    end
  end
  seq = seq + 1
  most = most - 1
end
save_stored(tenant)
if seq <= r.head then return { seq - 1, blanked, 0, stored } end
-- What is kept apart of the log: last events of keys.
local keys = call('HGETALL', r.base .. '/l')
for n = 1, #keys, 2 do
  local at_seq, size, place = struct.unpack('<I8I4', keys[n + 1])
  local e = open(string.sub(keys[n + 1], place))
  local length = struct.unpack('<I4', e.body)
  if e.sender == user and length > 0 and not is_of_service(e) then
    local payload = length - 2 - string.byte(e.body, 6)
    e.body = '\0\0\0\0' .. string.sub(e.body, 5 + length)
    r.kept_bytes = r.kept_bytes - payload
    call('HSET', r.base .. '/l', keys[n], struct.pack('<I8I4', at_seq, size - payload) .. close(e))
  end
end
call('HDEL', r.base .. '/k', user)
call('SREM', wrote, room)
save_room(r)
return { r.head, blanked, 1, stored }
