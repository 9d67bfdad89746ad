-- Idempotency: what a key gave first. A record is seq, tag, number, time, version, then the fingerprint.
local function find_key(hash, window, now)
  local record = call('HGET', P .. 'keys', hash)
  if not record then return nil end
  local seq, tag, number, time, version, place = struct.unpack('<I8I4I8i8I4', record)
  if time + window <= now then
    call('HDEL', P .. 'keys', hash)
    return nil
  end
  return { seq = seq, tag = tag, number = number, time = time, version = version, fingerprint = string.sub(record, place) }
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

-- Makes place for one more key: past the limit the oldest goes that is old enough. How many there are then; nil where there
-- is no place. What has expired is looked for now and then: who asks for it does not find it anyway.
local function make_place(limit, window, floor, now)
  local count = call('HLEN', P .. 'keys')
  if now % 8 == 0 then
    for _ = 1, 32 do
      local oldest = call('LINDEX', P .. 'keyq', 0)
      if not oldest then break end
      local time = key_time(oldest)
      if time and time + window > now then break end
      drop_oldest_key()
    end
    count = call('HLEN', P .. 'keys')
  end
  while count >= limit do
    local oldest = call('LINDEX', P .. 'keyq', 0)
    local time = key_time(oldest)
    if not oldest or (time and time + floor > now) then return nil end
    drop_oldest_key()
    count = call('HLEN', P .. 'keys')
  end
  return count
end

local function keep_key(hash, fingerprint, done)
  local record = struct.pack('<I8I4I8i8I4', done.seq, done.tag, done.number, done.time, done.version)
  call('HSET', P .. 'keys', hash, record .. fingerprint)
  call('RPUSH', P .. 'keyq', hash)
end
