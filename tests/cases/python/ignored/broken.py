print "on purpose"  # lastmile: ignore
