-- Requests that nobody took yet are asked for anew.
DROP TABLE dirsync_requests;
DROP TABLE dirsync_leader;
