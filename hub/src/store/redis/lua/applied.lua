-- Takes items off the outbox that have been applied: those up to a number.
local upto = num()
while true do
  local item = call('LINDEX', P .. 'out', 0)
  if not item or struct.unpack('<I8', item) > upto then break end
  call('LPOP', P .. 'out')
end
if call('LLEN', P .. 'out') == 0 then call('ZREM', P .. 'due', 'o') end
return 1
