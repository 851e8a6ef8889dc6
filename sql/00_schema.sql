\echo Use "CREATE EXTENSION paysync" to load this file. \quit

-- The parts of this script are joined in the order of their names. Nothing in the schema is granted to PUBLIC.
-- Functions that run with the owner's rights pin their search path and are granted by paysync.grant_relay() only.
