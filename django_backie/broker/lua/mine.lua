-- Tell whether a worker still holds a job under a token.
-- keys: w
-- args: prefix worker id token
-- Answers 1 or 0.
if not redis.call('ZSCORE', w, worker) then return 0 end
local hold = redis.call('HGET', prefix .. 'w:' .. worker, id)
return hold and string.match(hold, '^%d+') == token and 1 or 0
