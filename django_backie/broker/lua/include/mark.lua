-- A job that changed is marked for the mirror. A namespace without a mirror keeps ended jobs for `keep` ms instead.
local mirrored = keep == ''
local keep_for = mirrored and {} or {D = tonumber(keep), F = tonumber(keep_failed), C = tonumber(keep_failed)}

-- `list` is version, id, version, id ...
local function mark(prefix, list)
  if mirrored then call_in_chunks('ZADD', prefix .. 'd', list, 500) end
end

local function expire(prefix, id, state, now)
  if keep_for[state] then redis.call('ZADD', prefix .. 'x', whole(now + keep_for[state]), id) end
end
