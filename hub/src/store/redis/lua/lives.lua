-- Which nodes are there, by the server's clock, and in which life of it each has last found all that it acknowledged.
-- Steps: 'beat' (it is there), 'start', 'again' (it has found all in this life), 'begin' (an epoch begins in it: nothing of
-- before counts). Whether a restart may lose the end of the log: then all who were there must have found all, else one is
-- enough. 1: nothing that anybody acknowledged is lost; 0: that is not known, of a node or of all; 2: somebody was there who may
-- say so yet.
local step, node, life, silent, loses = arg(), arg(), arg(), num(), arg() == '1'
local base = P .. 'hub'
local nodes = base .. '/l'
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function is_there() call('HSET', nodes, node, struct.pack('<I8', now) .. life) end
if step == 'beat' then
  is_there()
  return 1
end
local known = call('HGET', base, 'life')
-- Of the others: who has not said so yet in this life, and when each was there last.
local others, latest, is_first = {}, 0, true
local all = call('HGETALL', nodes)
for n = 1, #all, 2 do
  local at, place = struct.unpack('<I8', all[n + 1])
  if string.sub(all[n + 1], place) ~= life then
    latest = math.max(latest, at)
    if all[n] ~= node then others[all[n]] = at end
  else
    is_first = false
    -- It is gone, and the log has long been on the disk.
    if at + silent < now then call('HDEL', nodes, all[n]) end
  end
end
-- Who was silent before the server ended was gone, and what it wrote on the disk.
local waits = false
for other, at in pairs(others) do
  if step == 'begin' or (is_first and at + silent < latest) then
    call('HDEL', nodes, other)
  else
    waits = true
  end
end
is_there()
if step == 'begin' or not known or (step == 'again' and not (waits and loses)) then
  call('HSET', base, 'life', life)
  return 1
end
if known == life then return 1 end
return step == 'start' and waits and not loses and 2 or 0
