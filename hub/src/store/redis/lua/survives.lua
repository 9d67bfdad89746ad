-- Whether something that was acknowledged is still there: an entry by its tag, a notification by its id.
local kind, base, seq, mark = arg(), arg(), num(), arg()
if kind == 'r' then
  local r = read_room(base)
  local record = call('HGET', base .. '/e', seq)
  if record then return open(record).tag == tonumber(mark) and 1 or 0 end
  -- Retention removed it, or it is lost.
  return r.first > seq and r.head >= seq and 1 or 0
end
local found = call('HGET', base .. '/i', mark)
if found then return tonumber(found) == seq and 1 or 0 end
return tonumber(call('HGET', base, 'head') or 0) >= seq and 1 or 0
