-- Idempotency: what a key gave first. A record is what was done (seq, tag, number, time, version), then the fingerprint.
local DONE = '<I8I4I8i8I4'

-- The arguments that it takes: which key (none: empty), how a service's was known before (else empty), and what makes a retry
-- the same. With how many keys the partition may have, how long they are remembered and how long at least.
local function take_key(limit, window, floor)
  return { hash = arg(), of_before = arg(), fingerprint = arg(), limit = limit, window = window, floor = floor }
end

-- The answer that an attempt of a service makes which was kept as the user's of its name. That it was the service's is seen by
-- its fingerprint, which is of the service's request: no user's command reads the same.
local function answer_of_service(key, now)
  local record = key.of_before ~= '' and call('HGET', P .. 'keys', key.of_before)
  if not record then return nil end
  local _, _, _, time, _, place = struct.unpack(DONE, record)
  if time + key.window <= now or string.sub(record, place) ~= key.fingerprint then return nil end
  return { 'dup', string.sub(record, 1, place - 1) }
end

-- The answer that an attempt before makes; nil where this is the first one.
local function answer_of_before(key, now)
  local record = key.hash ~= '' and call('HGET', P .. 'keys', key.hash)
  if not record then return answer_of_service(key, now) end
  local _, _, _, time, _, place = struct.unpack(DONE, record)
  if time + key.window <= now then
    call('HDEL', P .. 'keys', key.hash)
    -- Its place goes too, and is near the beginning: it would be taken for that of the record to come.
    call('LREM', P .. 'keyq', 1, key.hash)
    return nil
  end
  if string.sub(record, place) ~= key.fingerprint then return { 'key' } end
  return { 'dup', string.sub(record, 1, place - 1) }
end

local function key_time(hash)
  local record = hash and call('HGET', P .. 'keys', hash)
  if not record then return nil end
  local _, _, _, time = struct.unpack('<I8I4I8i8', record)
  return time
end

local function drop_oldest_key()
  local hash = call('LPOP', P .. 'keyq')
  if hash then call('HDEL', P .. 'keys', hash) end
end

-- Makes place for a key: past the limit the oldest goes that is old enough. Whether there is. What has expired is looked for
-- now and then: who asks for it does not find it anyway.
local function make_place(key, now)
  if key.hash == '' then return true end
  if now % 8 == 0 then
    for _ = 1, 32 do
      local oldest = call('LINDEX', P .. 'keyq', 0)
      if not oldest then break end
      local time = key_time(oldest)
      if time and time + key.window > now then break end
      drop_oldest_key()
    end
  end
  key.others = call('HLEN', P .. 'keys')
  while key.others >= key.limit do
    local oldest = call('LINDEX', P .. 'keyq', 0)
    local time = key_time(oldest)
    if not oldest or (time and time + key.floor > now) then return false end
    drop_oldest_key()
    key.others = call('HLEN', P .. 'keys')
  end
  return true
end

-- Remembers what a key gave. What the answer begins with: what was done, how many keys the partition has now (-1 without one),
-- and the number of the last effects that wait (0 where none do).
local function keep_key(key, done, waits)
  local record = struct.pack(DONE, done.seq, done.tag, done.number, done.time, done.version)
  local keys = -1
  if key.hash ~= '' then
    call('HSET', P .. 'keys', key.hash, record .. key.fingerprint)
    call('RPUSH', P .. 'keyq', key.hash)
    keys = key.others + 1
  end
  return record .. struct.pack('<i4I8', keys, waits)
end
