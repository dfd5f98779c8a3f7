if ready:
	launch(
	log("gone")
