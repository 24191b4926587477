"""How claims are measured: functions of tables, each giving a value for every seed, larger if it favours the claim."""
