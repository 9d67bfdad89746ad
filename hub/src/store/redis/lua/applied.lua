-- Takes items off the outbox that have been applied wherever they are to be.
for _ = 1, #ARGV do call('LREM', P .. 'out', 1, arg()) end
if call('LLEN', P .. 'out') == 0 then call('ZREM', P .. 'due', 'o') end
return 1
